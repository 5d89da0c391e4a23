"""Errors over HTTP."""

import json

import pytest
from django.core.exceptions import RequestDataTooBig
from django.http import Http404
from django.test import Client, RequestFactory
from django.urls import path
from rest_framework import exceptions, serializers
from rest_framework.views import APIView

from duckspawn_site import errors, urls
from projects import errors as projects
from schema_registry import errors as registry
from schema_registry.errors import Problem, SpawnError


def raising(error: Exception):
    class Raising(APIView):
        permission_classes = []

        def get(self, request):
            raise error

    return Raising.as_view()


def plain(request):
    raise projects.TableNotFound(table="boats")


def broken(request):
    raise RuntimeError("/secret/path and SELECT 1")


RAISED = {
    "row": projects.RowRefused(table="t", problems=(Problem("/status", "enum", "status is not one of A, B"),)),
    "rows": type("R", (projects.RowsRefused,), {})(rejected=2, table="t", rejects=[{"row": 1}]),
    "changes": projects.RowsInTheWay(table="t", reason="3 rows.", changes=[{"column": "x"}]),
    "busy": projects.StoreBusy(),
    "throttled": exceptions.Throttled(wait=7),
    "big": RequestDataTooBig("x"),
    "none": Http404("/a/path"),
    "nested": serializers.ValidationError({"a": ["wrong"], "b/c": {"d": [{"e": ["bad"]}]}}),
}
urlpatterns = [
    path("ops/plain", plain),
    path("ops/broken", broken),
    path("page", broken),
    *(path(f"ops/{name}", raising(error)) for name, error in RAISED.items()),
    *urls.urlpatterns,
]
handler404, handler500 = urls.handler404, urls.handler500


@pytest.fixture
def client(db, settings) -> Client:
    settings.ROOT_URLCONF = __name__
    return Client(raise_request_exception=False)


def every_error(root: type[Exception]):
    for child in root.__subclasses__():
        if child.__module__ in (projects.__name__, registry.__name__):
            yield child
            yield from every_error(child)


@pytest.mark.parametrize("kind", [k for k in every_error(SpawnError) if k not in (projects.ProjectsError, registry.RegistryError)])
def test_every_error_of_ours_has_a_line_of_its_own(kind):
    assert kind in errors.ANSWERS


def test_a_code_means_one_status():
    statuses = {}
    for answer in errors.ANSWERS.values():
        assert statuses.setdefault(answer.code, answer.status) == answer.status


def test_a_refused_row_names_each_fault_and_the_request(client):
    answer = client.get("/ops/row", headers={"X-Request-ID": "abc"})
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "/errors/row-refused",
        "title": "The row breaks the schema",
        "status": 422,
        "detail": "The row does not fit the table t.",
        "instance": "/ops/row",
        "code": "row-refused",
        "request_id": "abc",
        "errors": [{"pointer": "/status", "code": "enum", "detail": "status is not one of A, B"}],
    }


def test_what_an_error_carries_is_in_the_answer(client):
    assert client.get("/ops/changes").json()["changes"] == [{"column": "x"}]
    assert client.get("/ops/changes").status_code == 409


def test_an_error_without_a_line_takes_its_ancestors(client):
    answer = client.get("/ops/rows")
    assert (answer.status_code, answer.json()["code"], answer.json()["rejects"]) == (422, "rows-refused", [{"row": 1}])


def test_a_busy_store_says_when_to_try_again(client):
    assert (client.get("/ops/busy").status_code, client.get("/ops/busy").headers["Retry-After"]) == (503, "1")
    assert (client.get("/ops/throttled").status_code, client.get("/ops/throttled").headers["Retry-After"]) == (429, "7")


def test_a_body_that_is_too_large_is_413(client):
    assert client.get("/ops/big").status_code == 413
    answer = errors.bad_request(RequestFactory().get("/ops/x"), RequestDataTooBig("x"))
    assert (answer.status_code, json.loads(answer.content)["code"]) == (413, "too-large")


def test_nested_faults_are_listed_with_pointers(client):
    faults = client.get("/ops/nested").json()["errors"]
    assert [f["pointer"] for f in faults] == ["/a", "/b~1c/d/0/e"]


def test_a_missing_page_shows_no_path_of_ours(client):
    assert client.get("/ops/none").json()["detail"] == "There is nothing at this address."


def test_a_fault_of_ours_says_nothing_of_itself(client, caplog):
    answer = client.get("/ops/broken", headers={"Accept": "text/html"})
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"
    assert b"secret" not in answer.content and b"SELECT" not in answer.content
    assert "secret" in caplog.text  # The log has it.


def test_an_error_of_ours_in_a_plain_view_is_answered_too(client):
    answer = client.get("/ops/plain")
    assert (answer.status_code, answer.json()["code"]) == (404, "table-not-found")


def test_a_browser_gets_a_page_and_a_client_a_problem(client):
    page = client.get("/nowhere", headers={"Accept": "text/html,*/*"})
    assert page.status_code == 404 and page.headers["Content-Type"].startswith("text/html")
    assert "There is nothing at this address." in page.content.decode()
    assert client.get("/nowhere").json()["code"] == "not-found"
    broken = client.get("/page", headers={"Accept": "text/html"})
    assert broken.status_code == 500 and b"secret" not in broken.content


def test_a_wrong_method_or_body_or_format_is_a_problem(viewer_client, client):
    assert viewer_client.put("/auth/tokens").json()["code"] == "method-not-allowed"
    assert "Allow" in viewer_client.put("/auth/tokens").headers
    assert viewer_client.get("/auth/tokens", headers={"Accept": "application/xml"}).status_code == 406


def test_a_form_without_its_token_is_refused_as_a_problem(db):
    answer = Client(enforce_csrf_checks=True).post("/console/login/", {"username": "x"})
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf-failed")


def test_an_error_of_rest_framework_without_a_line_keeps_its_status():
    class Gone(exceptions.APIException):
        status_code, default_code, default_detail = 410, "gone_for_good", "It is gone."

    assert errors.answer_for(Gone()) == errors.Answer(410, "gone-for-good", "Gone")
