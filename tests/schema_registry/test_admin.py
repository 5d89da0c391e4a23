import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from schema_registry import audit
from schema_registry.models import AuditEntry

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"


def page(name: str, *args: object) -> str:
    return reverse(f"admin:schema_registry_{name}", args=args)


@pytest.fixture
def reader(client):
    client.force_login(User.objects.create_superuser("root"))
    return client


def test_an_empty_page_says_what_will_stand_there(reader):
    assert "Nothing was done yet" in reader.get(page("auditentry_changelist")).content.decode()


def test_an_audit_entrys_page_shows_its_detail_escaped(reader):
    audit.append("a", SCRIPT, actor=SCRIPT, detail={"note": SCRIPT})
    text = reader.get(page("auditentry_change", 1)).content.decode()
    assert SCRIPT not in text
    assert reader.get(page("auditentry_changelist") + "?q=script").status_code == 200


def test_nothing_can_be_added_changed_or_deleted(reader):
    audit.append("a", "b", actor="ada")
    assert reader.get(page("auditentry_add")).status_code == 403
    assert reader.post(page("auditentry_change", 1), {"actor": "eve"}).status_code == 403
    assert reader.post(page("auditentry_delete", 1), {"post": "yes"}).status_code == 403
    reader.post(page("auditentry_changelist"), {"action": "delete_selected", "_selected_action": 1, "post": "yes"})
    assert AuditEntry.objects.get().actor == "ada"


def test_only_those_with_the_right_see_a_page(client):
    user = User.objects.create_user("vera", is_staff=True)
    client.force_login(user)
    assert client.get(page("auditentry_changelist")).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="read_audit"))
    assert client.get(page("auditentry_changelist")).status_code == 200
