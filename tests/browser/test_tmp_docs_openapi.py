import os, pytest
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]="1"
from django.test import Client
from playwright.sync_api import sync_playwright
from tests.conftest import user_with_role
from tests.projects.conftest import *
from tests.projects.test_openapi import EVERY_TYPE, make_table

@pytest.mark.django_db(transaction=True)
def test_it(live_server, roles, projects, settings):
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
    make_table("everything", EVERY_TYPE, primary_key=["id"])
    c=Client(); c.force_login(user_with_role("editor"))
    with sync_playwright() as p:
        b=p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        ctx=b.new_context(); ctx.add_cookies([{"name":"sessionid","value":c.cookies["sessionid"].value,"url":live_server.url}])
        page=ctx.new_page(); seen=[]
        page.on("console", lambda m: seen.append((m.type,m.text)) if m.type in("error","warning") else None)
        page.on("pageerror", lambda e: seen.append(("page",str(e))))
        page.on("request", lambda r: seen.append(("foreign",r.url)) if not r.url.startswith((live_server.url,"data:")) else None)
        for path in ("/docs","/docs?table=everything","/docs?table=projects"):
            page.goto(live_server.url+path); page.wait_for_selector(".opblock", timeout=20000)
            print(path, page.locator(".opblock").count(), page.title())
        page.locator(".opblock-get").first.click(); page.wait_for_timeout(800)
        page.screenshot(path="/tmp/docs.png", full_page=True)
        page.goto(live_server.url+"/docs?table=projects"); page.wait_for_selector(".opblock-post")
        page.locator(".opblock-post .opblock-summary-control").first.click(); page.wait_for_timeout(500)
        page.locator(".try-out__btn").first.click(); page.wait_for_timeout(300)
        print(page.locator("textarea.body-param__text").first.input_value())
        page.locator("textarea.body-param__text").first.fill('{"project_name":"x","total_amount":1,"maturity_years":2,"expected_tri":1,"dscr":1}')
        page.locator(".execute").first.click(); page.wait_for_timeout(1500)
        print(page.locator(".live-responses-table .response-col_status").first.inner_text())
        page.screenshot(path="/tmp/docs2.png", full_page=True)
        print(seen); b.close()
