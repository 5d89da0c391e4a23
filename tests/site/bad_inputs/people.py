"""Who asks, and what the headers, the method and the path say."""

from collections.abc import Iterator

from tests.site.bad_inputs.sent import BIG, GOOD, HUGE, NIL, NO_OBJECT, NOT_JSON, Bad, get, post


def people() -> Iterator[Bad]:
    """Tokens, who asks, and what the operator has."""
    for body in (*NOT_JSON, *NO_OBJECT, b"[]"):
        yield post("/auth/tokens", body, 400, 401, 413, 422, Authorization=BASIC)
        yield post("/admin/logging/level", body, 400, 413, 422)
    for wish in WISHES:
        yield post("/auth/tokens", wish, 422, Authorization=BASIC)
    for level in (None, 1, "", "LOUD", [], {}, "x" * 5_000, "\0"):
        yield post("/admin/logging/level", {"level": level}, 422)
    yield post("/admin/logging/level", {"level": "INFO", "no": 1}, 422)
    yield post("/admin/logging/level", b"a,b", 415, kind="text/csv")
    for token in ("x", NIL, "%00", HUGE, "%ff"):
        yield Bad("DELETE", f"/auth/tokens/{token}", (404, 401))
    for job in (NIL, "x", "%00", HUGE):
        for part in ("", "/file", "/rejects"):
            yield get(f"/ops/jobs/{job}{part}", 404)
        yield Bad("DELETE", f"/ops/jobs/{job}", (404,))
    for given in AUTHORIZATIONS:
        yield get("/ops/projects", 401, Authorization=given)
        yield post("/auth/tokens", {}, 401, Authorization=given)
    for cookie in ("sessionid=x", "sessionid=" + "x" * 5_000, "sessionid=\0", 'sessionid="', ";;;=", "csrftoken=\xff", "sessionid=../../x"):
        yield get("/ops/projects", 401, Authorization="", Cookie=cookie)
        yield post("/ops/projects", GOOD, 401, 403, Authorization="", Cookie=cookie)
    for host in ("evil.example", "", "a b", "localhost:x", "[::1", "localhost\0", "x" * 300, "localhost, evil.example", "é"):
        yield get("/ops/projects", 400, Host=host)


BASIC = "Basic cm9vdDphIGxvbmcgZW5vdWdoIHBhc3MgcGhyYXNl"
WISHES: list[object] = [
    {"role": "king"},
    {"role": 1},
    {"scopes": "projects"},
    {"scopes": [[]]},
    {"scopes": [""]},
    {"scopes": {}},
    {"expiry": "never"},
    {"expiry": -1},
    {"expires_in": "P1000000Y"},
    {"no": 1},
    {"name": "x" * 10_000},
]
AUTHORIZATIONS = [
    "Bearer",
    "Bearer ",
    "Bearer x",
    "Bearer a b",
    "Bearer " + "x" * 8_000,
    "Bearer \xff",
    "Bearer \0",
    "bearer",
    "Basic",
    "Basic !",
    "Basic Og==",
    "Basic /w==",
    "Basic cm9vdDo=",
    "Basic " + "QQ" * 4_000,
    "Digest username=root",
    "Token x",
    "x",
    "Bearer null",
    "Bearer undefined",
]


def headers() -> Iterator[Bad]:
    """Headers that mean something, with something else in them."""
    row = f"/ops/projects/{NIL}"
    for given in ("", "x", '"', '"a', 'a"', '"a" "b"', "W/", ",", '"\0"', "é", '"a",, b', "*,*", "x" * 8_000):
        yield get(row, 400, 404, If_Match=given or " ")
        yield post(row, {"dscr": 1}, 400, 404, 412, method="PATCH", If_Match=given or " ")
        yield Bad("DELETE", row, (400, 404, 412), headers={"If-None-Match": given or " "})
    for given in ('"', '"a', "x" * 256, "a b", "é", "\0", '""', "\u007f", '"\\"'):
        yield post("/ops/projects", GOOD, 400, Idempotency_Key=given)
    for given in ("x", "-1", "0", "1.5", HUGE, BIG, "", "٣", "1 2", "null"):
        yield get("/ops/projects", 400, 404, 409, Schema_Version=given)
        yield post("/ops/projects", GOOD, 400, 404, 409, Schema_Version=given)
    for given in ("image/png", "text/html;q=0, image/*", "x", "application/json;q=0", "/", "application/json;q=x;;;", ","):
        yield get("/ops/projects", 406, 400, Accept=given)
    for given in ("gzip, gzip", "deflate", "zstd", "\0", "x" * 5_000, "gzip;q=1"):
        yield post("/ops/projects", GOOD, 415, 400, Content_Encoding=given)
    for method in ("PROPFIND", "TRACE", "CONNECT", "PUT", "PATCH", "G\0T", "X" * 500):
        yield Bad(method, "/admin/drift", (405, 400, 403))
    for path in PATHS:
        yield get(path, 404, 400)
        yield post(path, {}, 404, 400, 405)


PATHS = [
    "/nothing",
    "/ops",
    "/ops/",
    "/ops//",
    "//ops/projects",
    "/ops/projects/a/b/c",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/ops/..%2f..%2fadmin",
    "/static/../../etc/passwd",
    "/static/%2e%2e/%2e%2e/settings.py",
    "/%00",
    "/%ff",
    "/%ed%a0%80",
    "/" + "a/" * 2_000,
    "/admin/tables/projects/aliases",
    "/.env",
    "/.git/config",
    "/ops/projects;jsessionid=1/x/y",
    "/errors/x",
    "/monitoring",
    "/openapi.json/x",
]


# What is only odd, and may be taken where it says nothing: it must not be a fault of ours.
ODD_HEADERS: list[tuple[str, str]] = [
    ("Prefer", "respond-async=,;=;;"),
    ("Prefer", "count=" + "x" * 8_000),
    ("Prefer", "\0"),
    ("Range", "bytes=-1"),
    ("Range", "bytes=9-1,2-,x"),
    ("Range", "lines=0-0"),
    ("If-Range", '"x"'),
    ("If-Modified-Since", "yesterday"),
    ("If-Unmodified-Since", "Thu, 01 Jan 99999 00:00:00 GMT"),
    ("If-None-Match", "\xff"),
    ("traceparent", "00-" + "0" * 32 + "-" + "0" * 16 + "-00"),
    ("traceparent", "ff-x-y-z"),
    ("traceparent", "00-" + "g" * 5_000),
    ("tracestate", "=" * 8_000),
    ("X-Request-ID", "x" * 8_000),
    ("X-Request-ID", "a\nb"),
    ("X-Request-ID", "\xff\xfe"),
    ("X-Forwarded-For", "'; DROP TABLE projects"),
    ("X-Forwarded-For", "1.2.3.4" + ", 1.2.3.4" * 1_000),
    ("X-Forwarded-Proto", "gopher"),
    ("X-Forwarded-Host", "evil.example"),
    ("Forwarded", "for=\0"),
    ("X-HTTP-Method-Override", "DELETE"),
    ("Accept", "*/*;q=nan"),
    ("Accept", "*/*" + ",a/b" * 2_000),
    ("Accept", "*/*, \0"),
    ("Accept-Encoding", "gzip;q=x"),
    ("Accept-Encoding", "br;q=0, identity;q=0, *;q=0"),
    ("Accept-Language", "x" * 8_000),
    ("Accept-Charset", "utf-7"),
    ("Origin", "null"),
    ("Referer", "javascript:alert(1)"),
    ("Transfer-Encoding", "x"),
    ("Expect", "200-maybe"),
    ("Upgrade", "h2c"),
    ("Connection", "x" * 500),
    ("User-Agent", "\xff\0<script>"),
    ("Cookie", "a=b; " * 1_000),
    ("Date", "never"),
    ("Via", "\x01"),
]
ODD_DOORS = [
    "/",
    "/ops/projects",
    f"/ops/projects/{NIL}",
    "/ops/projects/changes",
    "/admin/tables",
    "/admin/audit?limit=1",
    "/monitoring/live",
    "/auth/tokens",
    "/console/login/",
]
