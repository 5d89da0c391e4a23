"""Makes the four roles as Django groups, with their rights.

A right's row is made by Django only after every migration has run, so this makes those rows itself; Django finds them then.
"""

from django.db import migrations

# Each right: its app, the model that names it, its codename and its name.
RIGHTS = {
    "read_rows": ("projects", "managedtable", "Can read rows, schemas and tables"),
    "write_rows": ("projects", "managedtable", "Can create, change and load rows"),
    "manage_tables": ("projects", "managedtable", "Can create, change and drop tables"),
    "manage_jobs": ("projects", "managedtable", "Can see and cancel everybody's jobs"),
    "read_audit": ("schema_registry", "auditentry", "Can read the audit log"),
    "operate": ("monitoring", "operation", "Can read metrics and set the log level"),
}
ROLES = {
    "viewer": ["read_rows"],
    "editor": ["read_rows", "write_rows"],
    "steward": ["read_rows", "write_rows", "manage_tables", "read_audit"],
    "operator": ["read_rows", "manage_jobs", "operate", "read_audit"],
}


def make_roles(apps, schema_editor):
    """Adds what is missing, and may run again; a right that somebody gave to a role besides stays."""
    content_types, permissions = apps.get_model("contenttypes", "ContentType"), apps.get_model("auth", "Permission")
    groups = apps.get_model("auth", "Group")
    made = {}
    for codename, (app, model, name) in RIGHTS.items():
        content_type, _ = content_types.objects.get_or_create(app_label=app, model=model)
        made[codename], _ = permissions.objects.get_or_create(content_type=content_type, codename=codename, defaults={"name": name})
    for role, codenames in ROLES.items():
        group, _ = groups.objects.get_or_create(name=role)
        group.permissions.add(*(made[codename] for codename in codenames))


class Migration(migrations.Migration):
    dependencies = [
        ("people", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
