"""An import contract: a package imports itself and the standard library, nothing else."""

import sys

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class StandardLibraryContract(Contract):
    """Breaks on every import in `package` of anything but itself and the standard library.

    Unlike a list of forbidden packages, it also knows the package that is added tomorrow.
    """

    type_name = "standard_library"
    package = fields.StringField()

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Find the imports that leave."""
        inside = {str(self.package)} | graph.find_descendants(str(self.package))
        strays = [
            f"{importer} -> {imported}"
            for importer in sorted(inside)
            for imported in sorted(graph.find_modules_directly_imported_by(importer) - inside)
            if imported.partition(".")[0] not in sys.stdlib_module_names
        ]
        return ContractCheck(kept=not strays, metadata={"strays": strays})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """List them."""
        strays: list[str] = check.metadata["strays"]
        for stray in strays:
            output.print_error(f"- {stray}", bold=False)
