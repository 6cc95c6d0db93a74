"""What an adapter proves itself with, in this repository or outside of it (docs/adapters.md).

``members`` says what is put under the suite, ``provider_contract`` is the suite. It needs the extra
``imageedit[testing]``, and the server never imports it.
"""
