"""What happens just between two looks."""

from collections.abc import Callable

import pytest
from django.db import connection
from rest_framework.test import APIClient

from projects import plan_runs
from projects.models import Plan
from projects.store.connection import Store
from tests.projects.ontology import TURBINES, Ontology, send, with_column

pytestmark = pytest.mark.django_db


def test_a_plan_that_ends_just_as_it_is_looked_for_is_left_alone(
    turbines: Ontology, store: Store, steward_client: APIClient, django_assert_num_queries
) -> None:
    turbines.say(with_column(TURBINES, "colour", type="VARCHAR"))
    number = send(steward_client, "put", "/admin/tables/turbines").json()["plan"]["id"]
    Plan.objects.filter(pk=number).update(state=Plan.State.APPLYING)
    under_way = plan_runs._noted([Plan.objects.get(pk=number)])
    under_way.__enter__()

    def asked(execute: Callable[..., object], *query: object) -> object:
        found = execute(*query)
        under_way.__exit__(None, None, None)
        return found

    with connection.execute_wrapper(asked), django_assert_num_queries(1):
        assert plan_runs.recover(store) == []
