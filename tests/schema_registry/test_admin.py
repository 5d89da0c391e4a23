import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from schema_registry import audit, snapshots
from schema_registry.models import AuditEntry, Snapshot
from tests.schema_registry.documents import column, parsed

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"


def page(name: str, *args: object) -> str:
    return reverse(f"admin:schema_registry_{name}", args=args)


@pytest.fixture
def reader(client):
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.mark.parametrize(("model", "words"), [("snapshot", "No schema was fetched yet"), ("auditentry", "Nothing was done yet")])
def test_an_empty_page_says_what_will_stand_there(reader, model, words):
    assert words in reader.get(page(f"{model}_changelist")).content.decode()


def test_a_snapshots_page_shows_its_columns_and_its_document_escaped(reader):
    schema = parsed(column(SCRIPT, description=SCRIPT, enum=["a", SCRIPT]))
    snapshot = snapshots.record(schema, '{"note": "<script>alert(1)</script>", "n": 1.10}', provenance="live")
    text = reader.get(page("snapshot_change", snapshot.pk)).content.decode()
    assert SCRIPT not in text
    assert "&lt;script&gt;" in text
    assert "1.10" in text
    listed = reader.get(page("snapshot_changelist")).content.decode()
    assert "things" in listed
    assert "No schema was fetched yet" not in listed


def test_an_audit_entrys_page_shows_its_detail_escaped(reader):
    audit.append("a", SCRIPT, actor=SCRIPT, detail={"note": SCRIPT})
    text = reader.get(page("auditentry_change", 1)).content.decode()
    assert SCRIPT not in text
    assert reader.get(page("auditentry_changelist") + "?q=script").status_code == 200


def test_nothing_can_be_added_changed_or_deleted(reader):
    snapshot = snapshots.record(parsed(), "{}", provenance="live")
    audit.append("a", "b", actor="ada")
    for model, key in (("snapshot", snapshot.pk), ("auditentry", 1)):
        assert reader.get(page(f"{model}_add")).status_code == 403
        assert reader.post(page(f"{model}_change", key), {"number": 9, "actor": "eve"}).status_code == 403
        assert reader.post(page(f"{model}_delete", key), {"post": "yes"}).status_code == 403
        reader.post(page(f"{model}_changelist"), {"action": "delete_selected", "_selected_action": key, "post": "yes"})
    assert Snapshot.objects.get().number == 1
    assert AuditEntry.objects.get().actor == "ada"


def test_only_those_with_the_right_see_a_page(client):
    user = User.objects.create_user("vera", is_staff=True)
    client.force_login(user)
    assert client.get(page("snapshot_changelist")).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="read_rows"))
    assert client.get(page("snapshot_changelist")).status_code == 200
    assert client.get(page("auditentry_changelist")).status_code == 403
