"""The first page in a real browser: what waits, the charts, and the numbers behind them."""

import re
from datetime import timedelta

import pytest
from django.urls import resolve
from django.utils import timezone
from playwright.sync_api import expect

from monitoring.models import Sample
from projects.models import Plan
from tests.browser import screenshots

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_operator_sees_charts_reads_their_numbers_and_goes_to_what_waits(reader, tables):
    now = timezone.now()
    for minutes in range(30):
        Sample.objects.create(at=now - timedelta(minutes=minutes), seconds=60, requests=100 + minutes, wal_bytes=10**6)
    Plan.objects.create(table="projects", state="proposed")
    reader.goto("/console/")
    requests = reader.get_by_role("figure", name="Requests")
    expect(requests.get_by_role("img")).to_be_visible()
    assert (
        reader.evaluate("Chart.getChart(document.querySelector('.spawn-charts canvas')).data.datasets[0].data.filter(n => n > 0).length")
        > 10
    )
    numbers = requests.get_by_role("table")
    expect(numbers).to_be_hidden()
    requests.locator("summary").press("Enter")
    expect(numbers.get_by_role("columnheader", name="errors")).to_be_visible()
    reader.get_by_role("link", name="24 hours").click()
    expect(reader.get_by_role("link", name="24 hours")).to_have_attribute("aria-current", "true")
    reader.get_by_role("link", name="1 plan waiting for a decision").click()
    expect(reader).to_have_url(re.compile("/console/plans/.state=proposed$"))


@pytest.mark.parametrize("address", screenshots.PAGES.values())
def test_each_picture_for_the_readme_is_of_a_page_that_is_there(address):
    assert resolve(address.format(plan=1)).namespaces in (["console"], ["admin"])
