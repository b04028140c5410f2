"""The OpenAPI document: a change shows as a diff of tests/openapi.json.

``python -m tests.app.test_openapi`` writes the file anew.
"""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.live import LiveServer

DOCUMENT = Path(__file__).resolve().parents[1] / "openapi.json"
METHODS = {"get", "put", "post", "patch", "delete", "head"}
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
OPERATIONS = {
    ("post", "/runs"): ("createRun", {413, 422, 503}),
    ("get", "/runs"): ("listRuns", {422}),
    ("get", "/runs/{run_id}"): ("getRun", {404, 410}),
    ("patch", "/runs/{run_id}"): ("updateRun", {404, 410, 422}),
    ("delete", "/runs/{run_id}"): ("deleteRun", {404, 409, 410}),
    ("post", "/runs/{run_id}/cancel"): ("cancelRun", {404, 410}),
    ("get", "/runs/{run_id}/events"): ("streamRunEvents", {404, 410, 422}),
    ("get", "/runs/{run_id}/artifacts"): ("getManifest", {404, 409, 410}),
    ("get", "/runs/{run_id}/artifacts/{name}"): ("getArtifact", {404, 409, 410}),
    ("get", "/runs/{run_id}/verify"): ("verifyRun", {404, 409, 410}),
    ("post", "/runs/{run_id}/recompute"): ("recomputeRun", {404, 409, 410, 503}),
    ("get", "/datasets"): ("listDatasets", set[int]()),
    ("get", "/datasets/{name}"): ("getDataset", {404, 422}),
    ("put", "/datasets/{name}"): ("putDataset", {413, 415, 422, 503}),
    ("patch", "/datasets/{name}"): ("patchDataset", {404, 409, 413, 415, 422, 503}),
    ("delete", "/datasets/{name}"): ("deleteDataset", {404, 409, 422}),
    ("get", "/catalog"): ("getCatalog", set[int]()),
    ("get", "/healthz"): ("getHealth", set[int]()),
    ("get", "/readyz"): ("getReadiness", set[int]()),
    ("get", "/version"): ("getVersion", set[int]()),
}
"""The operation id of every call, and the problems it may answer with."""


def text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


@pytest.fixture(scope="module")
def document(server: LiveServer) -> dict[str, Any]:
    body: dict[str, Any] = server.get("/openapi.json").json()
    return body


def operations(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert method in METHODS
            yield (method, path), operation


def nodes(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every object inside a JSON value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from nodes(item)


def test_the_document_is_the_file(document: dict[str, Any]) -> None:
    assert text(document) == DOCUMENT.read_text(), "run python -m tests.app.test_openapi and look at the diff"


def test_operations_and_their_names(document: dict[str, Any]) -> None:
    found = {key: operation["operationId"] for key, operation in operations(document)}
    assert found == {key: name for key, (name, _) in OPERATIONS.items()}
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize("key", OPERATIONS, ids=" ".join)
def test_every_route_documents_its_problems(document: dict[str, Any], key: tuple[str, str]) -> None:
    answers = document["paths"][key[1]][key[0]]["responses"]
    for status in OPERATIONS[key][1]:
        assert answers[str(status)]["content"] == PROBLEM
    for status, answer in answers.items():
        assert answer["description"]
        if status.startswith(("4", "5")) and "content" in answer:
            assert answer["content"] == PROBLEM
    if "{run_id}" in key[1]:
        assert {"404", "410"} <= answers.keys()


def test_the_stock_errors_are_gone(document: dict[str, Any]) -> None:
    assert "ValidationError" not in text(document)
    problem = document["components"]["schemas"]["Problem"]
    assert set(problem["required"]) == {"type", "title", "status", "detail", "instance", "code"}


def test_the_structure_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"]
    assert document["info"]["version"]
    for (_, path), operation in operations(document):
        assert operation["tags"]
        assert operation["responses"]
        named = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        for parameter in operation.get("parameters", ()):
            assert parameter["in"] in ("path", "query", "header", "cookie")
            assert "schema" in parameter
            assert parameter.get("required", False) or parameter["in"] != "path"
        for status, answer in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d|default", status)
            assert isinstance(answer["description"], str)
    for node in nodes(document):
        assert node.get("nullable") is None, "3.0, not 3.1"
        assert "itemSchema" not in node, "3.2, not 3.1"


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    used = {node["$ref"] for node in nodes(document) if isinstance(node.get("$ref"), str)}
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert used <= known
    for node in nodes(document):
        mapping = (
            node.get("discriminator", {}).get("mapping", {}) if isinstance(node.get("discriminator"), dict) else {}
        )
        assert set(mapping.values()) <= known


def test_unions_have_named_members(document: dict[str, Any]) -> None:
    request = document["components"]["schemas"]["RunRequest"]
    strategy = request["properties"]["strategy"]
    assert {"dual_sma", "buy_and_hold"} <= strategy["discriminator"]["mapping"].keys()
    assert all("$ref" in member for member in strategy["oneOf"])
    assert not any(name.endswith(("-Input", "-Output")) for name in document["components"]["schemas"])


def test_bodies_are_typed(document: dict[str, Any]) -> None:
    binary = {"type": "string", "format": "binary"}
    upload = document["paths"]["/datasets/{name}"]["put"]["requestBody"]
    assert upload["required"] is True
    apache = ("parquet", "arrow.stream", "arrow.file")
    kinds = ["text/csv", *(f"application/vnd.apache.{k}" for k in apache)]
    kinds += [f"application/{k}" for k in ("json", "zip", "gzip")]
    assert {kind: media["schema"] for kind, media in upload["content"].items()} == dict.fromkeys(kinds, binary)
    download = document["paths"]["/runs/{run_id}/artifacts/{name}"]["get"]["responses"]["200"]["content"]
    assert download["application/octet-stream"]["schema"] == binary
    stream = document["paths"]["/runs/{run_id}/events"]["get"]["responses"]["200"]["content"]
    assert stream["text/event-stream"]["schema"] == {"$ref": "#/components/schemas/RunEvent"}
    assert document["paths"]["/runs"]["post"]["responses"]["202"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Run"
    }


def main() -> None:
    """Write the file from a live server."""
    with tempfile.TemporaryDirectory() as scratch, LiveServer(Path(scratch) / "data", executor="thread") as server:
        DOCUMENT.write_text(text(server.get("/openapi.json").json()))


if __name__ == "__main__":
    main()
