"""Who may call what: one row for each method that is served. What has no row is refused (P23)."""

from enum import Enum, auto

SERVICE = "imageedit.v1.ImageEditService"


class Rule(Enum):
    """What a caller must show."""

    ANYONE = auto()
    """Nothing: health is asked by load balancers, and says nothing about anyone."""
    TENANT = auto()
    """To be a tenant. What it then reaches is its own: every use case takes the tenant (P22)."""


RULES = {
    f"/{SERVICE}/EditImage": Rule.TENANT,
    f"/{SERVICE}/CreateModelEdit": Rule.TENANT,
    f"/{SERVICE}/CreateDefaultModel": Rule.TENANT,
    f"/{SERVICE}/WatchTask": Rule.TENANT,
    f"/{SERVICE}/GetTask": Rule.TENANT,
    f"/{SERVICE}/ListTasks": Rule.TENANT,
    f"/{SERVICE}/CancelTask": Rule.TENANT,
    f"/{SERVICE}/UploadImage": Rule.TENANT,
    f"/{SERVICE}/DownloadImage": Rule.TENANT,
    f"/{SERVICE}/ListModels": Rule.TENANT,
    "/grpc.health.v1.Health/Check": Rule.ANYONE,
    "/grpc.health.v1.Health/List": Rule.ANYONE,
    "/grpc.health.v1.Health/Watch": Rule.ANYONE,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Rule.TENANT,
}
"""Rules by the full name of the method."""
