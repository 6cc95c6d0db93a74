"""The published service config (P14): what it may say, and that gRPC does what it says."""

import json

import grpc
import pytest

from imageedit.v1 import image_edit_service_pb2 as service_pb2
from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceStub
from imageedit_client import service_config
from imageedit_client.retry import FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS, RETRYABLE

SERVICE = service_pb2.DESCRIPTOR.services_by_name["ImageEditService"]
METHODS = {method.name for method in SERVICE.methods}
CREATES = {method.name for method in SERVICE.methods if "request_id" in method.input_type.fields_by_name}
UPLOADS = {method.name for method in SERVICE.methods if method.client_streaming}


def policies(config):
    """The config of each method, by its name."""
    return {
        name["method"]: {key: value for key, value in each.items() if key != "name"}
        for each in config["methodConfig"]
        for name in each["name"]
    }


@pytest.mark.parametrize("request_ids", [False, True])
def test_what_every_config_keeps(request_ids):
    """The rule itself, method by method: a new RPC must be decided about."""
    config = json.loads(service_config(request_ids=request_ids))
    assert config["retryThrottling"] == {"maxTokens": 10, "tokenRatio": 0.1}
    assert {name["service"] for each in config["methodConfig"] for name in each["name"]} == {
        SERVICE.full_name
    }
    found = policies(config)
    repeated = METHODS - UPLOADS - (set() if request_ids else CREATES)
    assert set(found) == repeated
    assert {"EditImage", "CreateModelEdit", "CreateDefaultModel"} == CREATES
    for policy in found.values():
        assert set(policy) == {"retryPolicy"}  # nothing is hedged
        assert policy["retryPolicy"]["maxAttempts"] == 4
        assert policy["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]


def test_the_clients_try_again_by_the_same_facts():
    """Backoff 0.1 to 2 seconds, UNAVAILABLE: said once, in the file."""
    assert (FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS) == (0.1, 2.0)
    assert {grpc.StatusCode.UNAVAILABLE} == RETRYABLE


@pytest.mark.parametrize(
    ("request_ids", "create_attempts"), [(False, 1), (True, 4)], ids=["without keys", "with keys"]
)
def test_generated_stubs_do_what_it_says(server, say, request_ids, create_attempts):
    """A bare channel with this option: four attempts, and one for creates that carry no key."""
    refusal = say.Refusal(code=grpc.StatusCode.UNAVAILABLE, reason="STORE_BUSY")
    config = service_config(request_ids=request_ids)
    options = [("grpc.service_config", config), ("grpc.use_local_subchannel_pool", 1)]
    calls = {
        "GetTask": (service_pb2.GetTaskRequest(), 4),
        "EditImage": (service_pb2.EditImageRequest(), create_attempts),
    }
    for method, (request, attempts) in calls.items():
        server.on(method, *[refusal] * 5)
        with grpc.insecure_channel(server.address, options) as channel:
            call = getattr(ImageEditServiceStub(channel), method)
            with pytest.raises(grpc.RpcError):
                call(request, timeout=60)
        assert len(server.received[method]) == attempts
