import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.urls import resolve
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIRequestFactory, force_authenticate

from schema_registry import audit, snapshots, urls
from tests.schema_registry.documents import client_of, column, parsed

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader() -> User:
    return User.objects.create_superuser("root")


def get(path: str, user, **headers: str):
    request = APIRequestFactory().get(path, **headers)
    force_authenticate(request, user)
    view, args, kwargs = resolve(path.partition("?")[0], urlconf=urls)
    return view(request, *args, **kwargs)


@pytest.fixture(autouse=True)
def history() -> None:
    snapshots.refresh(None, client_of("http://127.0.0.1:1", use_mock=True))
    snapshots.record(parsed(), '{"a": 1.10}', provenance="live")
    snapshots.record(parsed(column("a")), "{}", provenance="live")
    for n in range(5):
        audit.append("table.create" if n % 2 else "table.drop", f"t{n}", actor="ada", detail={"n": n})


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_latest_schema_of_every_table_is_listed(reader, slash):
    answer = get(f"/admin/schemas{slash}", reader)
    assert [(s["table"], s["number"], s["provenance"]) for s in answer.data] == [
        ("portfolio_projects", 1, "mock"),
        ("portfolios", 1, "mock"),
        ("projects", 1, "mock"),
        ("things", 2, "live"),
    ]


def test_versions_come_newest_first_and_one_has_its_document_as_it_came(reader):
    assert [s["number"] for s in get("/admin/schemas/THINGS/versions", reader).data] == [2, 1]
    whole = get("/admin/schemas/things/versions/1", reader).data
    assert whole["document"] == '{"a": 1.10}'
    assert whole["schema"]["columns"][0]["name"] == "id"


def test_two_versions_are_compared(reader):
    answer = get("/admin/schemas/things/versions?diff=1..2", reader).data
    assert [(c["kind"], c["class"], c["column"], c["sentence"]) for c in answer] == [
        ("add_column", "additive", "a", "Add the column a (VARCHAR).")
    ]
    assert [c["kind"] for c in get("/admin/schemas/things/versions?diff=2..1", reader).data] == ["drop_column"]


@pytest.mark.parametrize(
    "path", ["/admin/schemas?x=1", "/admin/schemas/things/versions?diff=1", "/admin/schemas/things/versions?diff=1..x"]
)
def test_a_parameter_that_means_nothing_is_refused(reader, path):
    assert get(path, reader).status_code == 400


def test_what_was_never_fetched_is_said(reader):
    for path in ("nope/versions", "nope/versions/1", "things/versions/9", "things/versions?diff=1..9"):
        assert get(f"/admin/schemas/{path}", reader).status_code == 404


def test_the_audit_log_comes_newest_first_by_pages(reader):
    assert [e["seq"] for e in get("/admin/audit", reader).data] == [5, 4, 3, 2, 1]
    page = get("/admin/audit?limit=2&offset=1", reader, HTTP_PREFER="count=exact")
    assert [e["seq"] for e in page.data] == [4, 3]
    assert page["X-Total-Count"] == "5"


def test_the_audit_log_is_filtered(reader):
    assert [e["seq"] for e in get("/admin/audit?action=table.drop&actor=ada", reader).data] == [5, 3, 1]
    assert [e["seq"] for e in get("/admin/audit?object=t3", reader).data] == [4]


@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "limit=x", "limit=", "offset=-1", "offset=1e3", "since=1", "limit=%D9%A3"])
def test_a_bad_page_is_refused(reader, query):
    assert get(f"/admin/audit?{query}", reader).status_code == 400


@pytest.mark.parametrize(("path", "right"), [("/admin/schemas", "read_rows"), ("/admin/audit", "read_audit")])
def test_each_list_needs_its_right(path, right):
    user = User.objects.create_user("vera")
    assert get(path, user).status_code == 403
    assert get(path, AnonymousUser()).status_code in (401, 403)
    user.user_permissions.add(Permission.objects.get(codename=right))
    assert get(path, User.objects.get(pk=user.pk)).status_code == 200


def test_openapi_shows_each_address_once_and_without_a_slash():
    paths = SchemaGenerator(patterns=urls.urlpatterns).get_schema(request=None, public=True)["paths"]
    own = [path for path in sorted(paths) if not path.startswith("/ops/")]  # What every table's paths share is described beside them.
    assert own == ["/admin/audit", "/admin/schemas", "/admin/schemas/{name}/versions", "/admin/schemas/{name}/versions/{number}"]
    assert "X-Total-Count" in paths["/admin/audit"]["get"]["responses"]["200"]["headers"]
