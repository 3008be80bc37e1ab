"""Fresh catalogs, built-in archives on loopback, and the command line as users run it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import signal
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from catalog.archive.client import AnswerLimits, MastArchive
from catalog.archive.retry import Patience
from catalog.harvest import harvest
from catalog.simulator import Simulator
from catalog.store import database as store
from catalog.store import proven
from catalog.store.database import Database
from catalog.store.duckdb_file import DUCKDB
from catalog.vocabulary.search import Search

from .bucket_server import s3
from .lakes import FILE, catalog_in, engines, use_store
from .loopback import sitecustomize
from .postgres_server import NOWHERE, PostgresServer, binaries, postgres_server
from .public_behaviour import PublicBehaviour

SOSS = ("category=COM,ERS", "exp_type=NIS_SOSS", "tsovisit=T", "date_obs_mjd=2022-06-01..2022-08-04")
NewCatalog = Callable[[Path], Database]
QUICK = Patience(attempts=4, first_pause=0.01, longest_pause=0.05)

if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C, and so would every command that a test starts and interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The processes that tests start stay on this machine too: see the module.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(sitecustomize.__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
)

# No time is asserted, that of making examples neither: the first text on a new machine waits for tables of Unicode.
# Under CI the examples follow from the test alone, so that chance does not decide what lands.
settings.register_profile(
    "mastlake", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("mastlake")


def pytest_configure(config: pytest.Config) -> None:
    """Note what of the public behaviour the tests try."""
    config.pluginmanager.register(PublicBehaviour())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs PostgreSQL's programs where there are none, with one line for each file of tests."""
    for item in items if binaries() is None else ():
        if item.get_closest_marker("postgres"):
            item.add_marker(pytest.mark.skip(reason=NOWHERE))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that is marked so on several engines."""
    mark = metafunc.definition.get_closest_marker("engines")
    if "engine" in metafunc.fixturenames and mark is not None:
        quick = metafunc.definition.get_closest_marker("quick") is not None
        metafunc.parametrize("engine", engines(quick, each="each" in mark.args))


@pytest.fixture(scope="session", autouse=True)
def _migrated_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let a new catalog be a copy of one that the migrations made: they take a third of a second."""
    empty = tmp_path_factory.mktemp("empty") / "catalog.duckdb"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        with Database(empty).write():
            pass
        made = store.make
        patch.setattr(
            store,
            "make",
            lambda path, engine=DUCKDB: shutil.copyfile(empty, path) if engine is DUCKDB else made(path, engine),
        )
        yield


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A folder that others can enter. Another run of the tests closes the folder in which pytest makes its own."""
    with TemporaryDirectory(prefix="mastlake-open-") as folder:
        path = Path(folder).resolve()
        path.chmod(0o755)
        yield path


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, which libpq finds by the service mastlake."""
    pytest.importorskip("psycopg", reason="psycopg reaches PostgreSQL")
    with postgres_server() as server, pytest.MonkeyPatch.context() as patch:
        for variable, value in server.environment.items():
            patch.setenv(variable, value)
        yield server


def copy_of(path: Path, to: Path) -> Database:
    """Copy a catalog that the tests made, and note that it is harmless: to prove that takes a fifth of a second."""
    shutil.copyfile(path, to)
    proven.note_proof(to)
    return Database(to)


@pytest.fixture(scope="session")
def _store_of_session() -> Iterator[str]:
    pytest.importorskip("moto", reason="moto answers as S3 does")
    with s3() as address:
        yield address


@pytest.fixture
def bucket_store(_store_of_session: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an object store, which the environment names."""
    use_store(_store_of_session, monkeypatch)
    return _store_of_session


@pytest.fixture
def engine() -> str:
    """The engine of the test's catalogs: a file, or each in turn where a test is marked so."""
    return FILE


@pytest.fixture
def database(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    """A catalog file that is not there yet, or an empty lake."""
    return catalog_in(tmp_path, engine, request)


@pytest.fixture
def new_catalog(engine: str, request: pytest.FixtureRequest) -> NewCatalog:
    """Make catalogs without rows, each in a folder of its own, for laws that need one for each example."""
    return lambda folder: catalog_in(folder, engine, request)


@pytest.fixture
def of_file(tmp_path: Path) -> Database:
    """A catalog file that is not there yet, for a test that has no meaning for a lake."""
    return Database(tmp_path / "catalog.duckdb", wait=5)


@pytest.fixture
def soss() -> Search:
    """The search of MAST's exoplanet tutorial."""
    return Search.parse("soss", "niriss", SOSS)


@pytest.fixture(scope="session")
def _still_sky() -> Iterator[Simulator]:
    with Simulator(files=1500) as simulator:
        yield simulator


@pytest.fixture
def sky(_still_sky: Simulator) -> Simulator:
    """A built-in archive that tests share and must not change."""
    return _still_sky


@pytest.fixture(scope="session")
def _harvested(tmp_path_factory: pytest.TempPathFactory, _still_sky: Simulator) -> Path:
    path = tmp_path_factory.mktemp("harvested") / "catalog.duckdb"
    with MastArchive(_still_sky.url) as archive:
        for name, instrument, criteria in (("soss", "niriss", SOSS), ("nircam", "nircam", ())):
            harvest(Database(path), archive, Search.parse(name, instrument, criteria))
    return path


@pytest.fixture
def catalog(engine: str, _harvested: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    """A catalog of the searches soss and nircam over the shared archive, for one test alone."""
    return catalog_in(tmp_path, engine, request, _harvested)


@pytest.fixture
def catalog_file(_harvested: Path, tmp_path: Path) -> Database:
    """The same in a file, for a test that has no meaning for a lake."""
    return copy_of(_harvested, tmp_path / "catalog.duckdb")


@pytest.fixture
def own_sky() -> Iterator[Simulator]:
    """A built-in archive of the test's own, to change as it likes."""
    with Simulator(files=600) as simulator:
        yield simulator


@pytest.fixture
def connect() -> Iterator[Callable[[str], MastArchive]]:
    """Make archive clients that are closed at the end of the test."""
    made: list[MastArchive] = []

    def make(url: str) -> MastArchive:
        made.append(MastArchive(url, AnswerLimits(connect=5, read=10, total=5, first_pause=0.01, longest_pause=0.1)))
        return made[-1]

    yield make
    for archive in made:
        archive.close()


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout as JSON."""
        return json.loads(self.out)


Command = Callable[..., Outcome]


@pytest.fixture
def mastlake(
    engine: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    request: pytest.FixtureRequest,
) -> Command:
    """Run a command in a folder of its own, through the installed entry point."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MASTLAKE_SERVER", raising=False)
    named = tmp_path / "catalog.duckdb" if engine == FILE else request.getfixturevalue("database").named
    monkeypatch.setenv("MASTLAKE_CATALOG", str(named))
    monkeypatch.setenv("COLUMNS", "200")
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="mastlake")
    run = entry.load()

    def command(*arguments: object) -> Outcome:
        capfdbinary.readouterr()
        try:
            run([str(argument) for argument in arguments])
            code = 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
        out, err = capfdbinary.readouterr()
        return Outcome(code, out.decode(), err.decode())

    return command


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave out what this machine says about its network."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "MASTLAKE_NETRC", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@dataclass(frozen=True)
class Authority:
    """A server's TLS by an authority that nobody knows, and that authority's bundle."""

    tls: ssl.SSLContext
    bundle: Path


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority for 127.0.0.1."""
    trustme = pytest.importorskip("trustme", reason="certificates are made by trustme")
    mine = trustme.CA()
    bundle = tmp_path_factory.mktemp("authority") / "bundle.pem"
    mine.cert_pem.write_to_path(str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    mine.issue_cert("127.0.0.1").configure_cert(context)
    return Authority(context, bundle)


def state(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Everything that is true now, without saying since when: two catalogs of one archive agree in it."""
    found: dict[str, list[dict[str, Any]]] = {}
    views = ("files", "observations", "products", "observation_products", "search_files", "search_observations")
    with database.read() as connection:
        for view in views:
            rows = connection.execute(f"SELECT * EXCLUDE (since_run) FROM {view}").to_arrow_table().to_pylist()
            plain = [{k: v for k, v in row.items() if v is not None and k != "until_run"} for row in rows]
            found[view] = sorted(plain, key=repr)
    return found
