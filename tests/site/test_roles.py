"""The roles that the migration makes."""

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission

from duckspawn_site.auth.roles import ROLES


def rights_of(role: str) -> set[str]:
    permissions = Group.objects.get(name=role).permissions.select_related("content_type")
    return {f"{p.content_type.app_label}.{p.codename}" for p in permissions}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_a_group_with_its_rights(roles, role):
    assert rights_of(role) == set(ROLES[role])


def test_making_the_roles_again_changes_nothing(roles):
    before = Permission.objects.count(), Group.objects.count()
    import_module("duckspawn_site.auth.migrations.0002_roles").make_roles(apps, None)
    assert (Permission.objects.count(), Group.objects.count()) == before


def test_every_right_of_a_role_is_one_that_a_model_names(roles):
    named = {f"{model._meta.app_label}.{codename}" for model in apps.get_models() for codename, _ in model._meta.permissions}
    assert {right for rights in ROLES.values() for right in rights} <= named
