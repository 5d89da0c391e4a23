"""A file is brought to a table in the console: looked at, checked, confirmed, loaded once."""

import gzip
import io
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import SkipFile
from django.db import connections
from django.http import HttpRequest

from projects import imports, jobs
from projects.console.uploads import SpoolUpload
from projects.errors import DiskFull
from projects.models import Job, ManagedTable
from projects.store import tables
from projects.store.bulk import Options
from projects.store.connection import Store
from tests.projects.conftest import make_table
from tests.projects.signed import Person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("roles")]

SCRIPT = "<script>alert(1)</script>"
HERE = "/console/tables/mills/import/"
COLUMNS = [
    {"name": "mill_id", "type": "INTEGER", "required": True},
    {"name": "name", "type": "VARCHAR", "required": True, "max_length": 40},
    {"name": "power", "type": "DECIMAL(10,2)"},
    {"name": "state", "type": "VARCHAR", "enum": ["new", "old"], "default": "new"},
]
CSV = "mill_id,name,power\n1,one,1.5\n2,two,\n"


@pytest.fixture
def mills(store: Store) -> Store:
    make_table("mills", COLUMNS)
    return store


@pytest.fixture
def editor(mills) -> Person:
    return Person("editor")


def spooled(store: Store) -> list[str]:
    return sorted(path.suffix for path in store.spool.glob("job-*") if ".rejects" not in path.name)


def bring(person: Person, content: str | bytes, name: str = "mills.csv", status: int = 302, **options: str):
    content = content.encode() if isinstance(content, str) else content
    return person.post(HERE, {"file": SimpleUploadedFile(name, content), **options}, status)


def work(store: Store) -> None:
    """Does the jobs that wait."""
    while job := jobs.next_job():
        jobs.run(store, job)


def checked(person: Person, store: Store, content: str | bytes, name: str = "mills.csv", **options: str) -> str:
    """The address of the check, which is done."""
    address = bring(person, content, name, **options)["Location"]
    work(store)
    return address


def words(text: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def test_a_file_is_seen_checked_and_loaded_only_when_it_is_confirmed(editor, mills):
    address = checked(editor, mills, CSV + "3,three,9\n")
    text = words(editor.get(address))
    assert "3 rows would be added." in text
    assert "1 one 1.50" in text
    assert "not in the file state" in text
    assert "new rows get new" in text
    assert "File mills.csv Size 46 bytes" in text
    assert tables.size(mills, "mills").rows == 0
    done = editor.post(address, {"deed": "load"})
    work(mills)
    assert tables.size(mills, "mills").rows == 3
    assert "3 rows were added." in editor.get(done["Location"])
    assert spooled(mills) == []


def test_confirming_twice_loads_once(editor, mills):
    address = checked(editor, mills, CSV)
    first = editor.post(address, {"deed": "load"})
    assert editor.post(address, {"deed": "load"})["Location"] == first["Location"]
    work(mills)
    assert editor.post(address, {"deed": "load"})["Location"] == first["Location"]
    work(mills)
    assert tables.size(mills, "mills").rows == 2
    assert "was given to a load" in editor.get(address)


def test_bad_rows_are_named_and_left_out_only_where_that_is_asked(editor, mills):
    address = checked(editor, mills, CSV + f"3,{SCRIPT * 3},9\n1,again,x\n4,\n")
    text = editor.get(address)
    assert SCRIPT not in text
    assert "2 rows would be added. 3 rows do not fit. All or nothing was asked for" in words(text)
    assert "has fewer fields than the 3 of the head" in text
    assert "is longer than 40" in words(text) or "at most 40" in words(text)
    assert text.count('class="work-fault"') == 3
    done = editor.post(address, {"deed": "load", "on_error": "skip"})
    work(mills)
    assert "2 rows were added. 3 rows were bad and left out." in editor.get(done["Location"])
    assert f"/ops/jobs/{Job.objects.get(kind='load').id}/rejects" in editor.get(done["Location"])


def test_all_or_nothing_refuses_a_file_whose_rows_were_taken_meanwhile(editor, mills):
    first, second = checked(editor, mills, CSV), checked(editor, mills, CSV)
    editor.post(first, {"deed": "load"})
    done = editor.post(second, {"deed": "load"})
    work(mills)
    assert "2 rows repeat a key, in the file or in the table mills; nothing was loaded." in words(editor.get(done["Location"]))


def test_the_first_rows_have_the_numbers_that_rejects_give_them_in_a_long_file_too(editor, mills):
    content = 'mill_id,name,power\n1,"one\nmill",1\n2,two\n' + "".join(f"{n},mill {n},1\n" for n in range(3, 60))
    address = checked(editor, mills, content + "59\n")
    text = words(editor.get(address))
    assert "58 rows would be added. 2 rows do not fit." in text
    assert "2 has fewer fields than the 3 of the head 3 3 mill 3" in text
    assert "20 20 mill 20" in text
    assert "21 21 mill" not in text
    assert text.count("has fewer fields") == 3
    assert spooled(mills) == [".csv"]


def test_a_head_that_does_not_fit_is_refused_at_once_and_nothing_is_kept(editor, mills):
    text = bring(editor, f"mill_id,{SCRIPT}\n1,2\n", status=200).content.decode()
    assert SCRIPT not in text
    assert "not a column of the table" in text
    assert "The column name is required and not in the head." in text
    assert not Job.objects.exists()
    assert spooled(mills) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("mills.txt", CSV, "does not say what it is"),
        ("mills.csv", "", "The file is empty."),
        ("mills.json", "[1", "The body is not JSON"),
        ("mills.csv.gz", "no gzip", "not gzip"),
        ("mills.parquet", "no parquet", "not a Parquet file"),
        ("mills.json", "[" + " " * (17 << 20) + "]", "larger than 16777216 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_words(editor, mills, name, content, said):
    assert said in bring(editor, content, name, status=200).content.decode()
    assert spooled(mills) == []


def test_a_form_without_a_file_says_so(editor):
    assert "Choose a file first." in editor.post(HERE, {"on_error": "skip"}, 200).content.decode()


def parquet_of(rows: list[dict]) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def arrow_of(rows: list[dict]) -> bytes:
    sink, table = io.BytesIO(), pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


ROWS = [{"mill_id": n, "name": f"mill {n}"} for n in range(1, 31)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.ndjson", "\n".join(map(json.dumps, ROWS))),
        ("m.json", json.dumps(ROWS)),
        ("m.csv.GZ", gzip.compress(("mill_id,name\n" + "".join(f"{r['mill_id']},{r['name']}\n" for r in ROWS)).encode())),
        ("m.parquet", parquet_of(ROWS)),
        ("m.arrows", arrow_of(ROWS)),
    ],
)
def test_every_format_is_seen_and_loaded(editor, mills, name, content):
    address = checked(editor, mills, content, name)
    text = words(editor.get(address))
    assert "30 rows would be added." in text
    assert "20 20 mill 20" in text
    assert "mill 21" not in text
    editor.post(address, {"deed": "load"})
    work(mills)
    assert tables.size(mills, "mills").rows == 30


def test_the_format_may_be_said_where_the_name_does_not(editor, mills):
    assert "2 rows would be added." in editor.get(checked(editor, mills, CSV, "export.txt", format="csv"))


def test_a_file_is_checked_again_with_other_options_without_being_sent_again(editor, mills):
    address = checked(editor, mills, CSV + "3,three,NA\n")
    assert "1 row does not fit" in editor.get(address)
    again = editor.client.post(address, {"deed": "again", "nulls": "NA, n/a", "on_conflict": "update"}, follow=True).request["PATH_INFO"]
    work(mills)
    text = editor.get(again)
    assert "3 rows would be added." in text
    assert 'value="NA,n/a"' in text
    editor.post(again, {"deed": "load", "nulls": "NA,n/a", "on_conflict": "update"})
    work(mills)
    assert tables.size(mills, "mills").rows == 3
    assert "was given to a load" in editor.get(address)


def test_a_file_that_is_thrown_away_is_gone_and_its_page_says_so(editor, mills):
    address = checked(editor, mills, CSV)
    editor.post(address, {"deed": "discard"})
    assert spooled(mills) == []
    assert "is kept no longer" in editor.get(address)
    editor.post(address, {"deed": "load"})
    assert "is kept no longer" in editor.get(address)
    assert not Job.objects.filter(kind="load").exists()


def test_only_who_may_write_rows_imports_and_only_ones_own_file(editor, mills):
    address = checked(editor, mills, CSV)
    viewer, steward = Person("viewer"), Person("steward")
    viewer.get(HERE, 403)
    bring(viewer, CSV, status=403)
    steward.post(address, {"deed": "load"}, 404)
    assert Job.objects.count() == 1
    assert spooled(mills) == [".csv"]


def test_a_form_without_its_token_is_refused_and_its_file_not_kept(mills):
    person = Person("editor", checks=True)
    bring(person, CSV, status=403)
    assert spooled(mills) == []
    token = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', person.get(HERE))[1]
    bring(person, CSV, csrfmiddlewaretoken=token)
    assert spooled(mills) == [".csv"]


def test_a_read_only_table_says_so_before_a_file_is_chosen(editor, mills):
    ManagedTable.objects.create(name="mills", read_only=True)
    text = editor.get(HERE)
    assert "The table mills is read-only." in text
    assert 'type="file"' not in text
    assert "The table mills is read-only." in bring(editor, CSV, status=200).content.decode()
    assert spooled(mills) == []


def test_a_hostile_file_name_is_a_text_and_no_path(editor, mills):
    address = checked(editor, mills, CSV, f"..\\..\\{SCRIPT[:-9]}.csv")
    text = editor.get(address)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1).csv" in text
    assert all(Path(path).parent == mills.spool for path in mills.spool.glob("*"))


def test_a_check_that_is_cancelled_says_so_and_can_be_made_again(editor, mills):
    address = bring(editor, CSV)["Location"]
    editor.post(f"/console/jobs/{Job.objects.get().id}/")
    assert "withdrawn" in editor.get(address)
    assert "Check again" in editor.get(address)


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(tmp_path):
    upload = SpoolUpload(HttpRequest(), tmp_path / "job-1.upload")
    upload.handle_raw_input(None, {}, 1 << 60)
    with pytest.raises(SkipFile):
        upload.new_file("file", "big.csv", "text/csv", None)
    assert isinstance(upload.refusal, DiskFull)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.django_db(transaction=True)
def test_two_who_confirm_at_once_load_once(mills, roles):
    editor = Person("editor")
    address = checked(editor, mills, CSV)
    check, ready = Job.objects.get(), threading.Barrier(2)

    def confirm(_: int) -> str:
        ready.wait()
        try:
            return str(imports.load(mills, check, Options(), editor.user).id)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(confirm, range(2)))) == 1
    work(mills)
    assert tables.size(mills, "mills").rows == 2
    assert "was given to a load" in editor.get(address)
