"""Who may call which RPC: one row for each method that the gRPC door serves (P23)."""

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit_server.access.rules import Rule

SERVICE = pb.DESCRIPTOR.services_by_name["ImageEditService"].full_name

RULES = {
    f"/{SERVICE}/EditImage": Rule.TENANT,
    f"/{SERVICE}/CreateModelEdit": Rule.TENANT,
    f"/{SERVICE}/CreateDefaultModel": Rule.TENANT,
    f"/{SERVICE}/WatchTask": Rule.TENANT,
    f"/{SERVICE}/GetTask": Rule.TENANT,
    f"/{SERVICE}/ListTasks": Rule.TENANT,
    f"/{SERVICE}/CancelTask": Rule.TENANT,
    f"/{SERVICE}/DeleteTask": Rule.TENANT,
    f"/{SERVICE}/UploadImage": Rule.TENANT,
    f"/{SERVICE}/DownloadImage": Rule.TENANT,
    f"/{SERVICE}/DeleteImage": Rule.TENANT,
    f"/{SERVICE}/ListModels": Rule.TENANT,
    # Load balancers ask for health, and have no key.
    "/grpc.health.v1.Health/Check": Rule.ANYONE,
    "/grpc.health.v1.Health/List": Rule.ANYONE,
    "/grpc.health.v1.Health/Watch": Rule.ANYONE,
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Rule.TENANT,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Rule.TENANT,
}
"""Rules by the full name of the method."""
