"""Where Bedrock is and who calls it: regions, endpoints, keys, profiles, sessions, clients."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.credentials import RefreshableCredentials

from genkit.backends.bedrock import Bedrock
from genkit.backends.bedrock import connection as module
from genkit.backends.bedrock.connection import Connection
from genkit.backends.bedrock.signing import Keys
from genkit.errors import AuthenticationFailed, ConfigError, MissingCredential, MissingExtra, Timeout
from genkit.types import Message, Request, Settings, Timeouts
from tests.backends.bedrock.cases import NOVA, request
from tests.farend import Call, FarEnd

ARN = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def write(variable: str, text: str) -> None:
    Path(os.environ[variable]).write_text(text, encoding="utf-8")


def place(model: str = NOVA, **options: Any) -> tuple[str, str]:
    found = Connection("bedrock", **options).place(model)
    return found.base, found.region


class TestWhere:
    def test_the_region_given_comes_before_the_environments(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
        assert place()[1] == "eu-north-1"
        monkeypatch.setenv("AWS_REGION", "eu-west-3")
        assert place()[1] == "eu-west-3"
        assert place(region="us-east-1") == ("https://bedrock-runtime.us-east-1.amazonaws.com", "us-east-1")

    def test_files_are_read_in_a_worker_thread_and_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        write("AWS_CONFIG_FILE", "[default]\nregion = sa-east-1\n")
        connection = Connection("bedrock")
        assert connection.place(NOVA, strict=False).region == "<AWS_REGION>"
        assert asyncio.run(connection.aplace(NOVA)).region == "sa-east-1"
        assert connection.place(NOVA, strict=False).region == "sa-east-1"
        monkeypatch.setattr(module, "import_module", no_botocore)
        with pytest.raises(ConfigError, match="no region"):
            Connection("bedrock").place(NOVA)

    def test_an_arn_says_its_region_where_nothing_else_does(self) -> None:
        assert place(ARN)[1] == "eu-west-1"
        assert place(ARN, region="us-east-1")[1] == "us-east-1"

    def test_a_profile_says_its_region(self) -> None:
        write("AWS_CONFIG_FILE", "[default]\nregion = sa-east-1\n[profile dev]\nregion = ca-central-1\n")
        assert place()[1] == "sa-east-1"
        assert place(profile="dev")[1] == "ca-central-1"

    @pytest.mark.parametrize(
        ("region", "host"),
        [
            ("us-gov-west-1", "bedrock-runtime.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "bedrock-runtime.cn-north-1.amazonaws.com.cn"),
            ("eusc-de-east-1", "bedrock-runtime.eusc-de-east-1.amazonaws.eu"),
        ],
    )
    def test_each_partition_has_its_domain(self, region: str, host: str) -> None:
        assert place(region=region)[0] == f"https://{host}"

    def test_the_endpoint_is_that_of_botocore(self) -> None:
        for region in ("us-east-1", "ap-southeast-2", "us-gov-west-1", "eu-central-1"):
            client = boto3.client(
                "bedrock-runtime", region_name=region, aws_access_key_id="a", aws_secret_access_key="b"
            )
            assert place(region=region)[0] == client.meta.endpoint_url

    def test_a_fips_endpoint_is_asked_for_by_its_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
        assert place(region="us-east-1")[0] == "https://bedrock-runtime-fips.us-east-1.amazonaws.com"

    @pytest.mark.parametrize("fips", ["true", "false"])
    def test_the_dual_stack_endpoint_is_that_of_botocore(self, fips: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", "true")
        monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", fips)
        for region in ("us-east-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1"):
            client = boto3.client(
                "bedrock-runtime", region_name=region, aws_access_key_id="a", aws_secret_access_key="b"
            )
            assert place(region=region)[0] == client.meta.endpoint_url
        with pytest.raises(ConfigError, match="no dual-stack endpoint"):
            place(region="eu-isoe-west-1")

    def test_a_session_is_asked_for_its_region_once_and_off_the_event_loop(self) -> None:
        asked: list[threading.Thread] = []

        class Slow:
            @property
            def region_name(self) -> str:
                asked.append(threading.current_thread())
                return "eu-west-2"

            def get_credentials(self) -> None: ...

        connection = Connection("bedrock", session=Slow())

        async def twice() -> list[str]:
            return [(await connection.aplace(NOVA)).region for _ in range(2)]

        assert asyncio.run(twice()) == ["eu-west-2"] * 2
        assert len(asked) == 1
        assert asked != [threading.current_thread()]

    @pytest.mark.parametrize(
        ("base", "warned"),
        [
            ("http://gateway.example", True),
            ("http://127.0.0.1:1", False),
            ("http://[::1]:1", False),
            ("http://localhost:1", False),
            ("https://gateway.example", False),
        ],
    )
    def test_a_key_that_goes_unencrypted_to_another_machine_is_told_once(
        self, base: str, warned: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        backend = Bedrock(base_url=base, api_key="hush-hush")
        for _ in range(2):
            backend.sign(backend.encode(request("Hi"), stream=False), b"{}")
        assert [record.levelname for record in caplog.records] == ["WARNING"] * warned
        assert "hush" not in caplog.text

    def test_a_signature_may_go_unencrypted(self, keys: None, caplog: pytest.LogCaptureFixture) -> None:
        backend = Bedrock(base_url="http://gateway.example", region="us-east-1")
        backend.sign(backend.encode(request("Hi"), stream=False), b"{}")
        assert caplog.records == []

    def test_an_endpoint_of_ones_own_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "https://all.example")
        assert place(region="us-east-1")[0] == "https://all.example"
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "https://vpce.example/")
        assert place(region="us-east-1")[0] == "https://vpce.example"
        assert place(region="us-east-1", base_url="https://mine.example/aws/")[0] == "https://mine.example/aws"

    def test_a_missing_region_says_how_to_give_it(self) -> None:
        with pytest.raises(ConfigError, match="set AWS_REGION, or pass region="):
            place()

    def test_an_api_key_needs_no_region_where_the_address_is_known(self) -> None:
        backend = Bedrock(base_url="https://gateway.example", api_key="k")
        wire = backend.encode(request("Hi"), stream=False)
        assert asyncio.run(backend.asign(wire, b"{}")).url.startswith("https://gateway.example/model/")

    @pytest.mark.parametrize("region", ["us east", "evil.example/", "us-east-1.evil.example"])
    def test_a_region_that_is_none_is_refused(self, region: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ConfigError, match="no AWS region"):
            Bedrock(region=region)
        monkeypatch.setenv("AWS_REGION", region)
        with pytest.raises(ConfigError, match="no AWS region"):
            place()

    @pytest.mark.parametrize(
        "url",
        ["bedrock.example", "https://user:pw@bedrock.example", "https://x.example/model/a/converse", "https://x:y"],
    )
    def test_an_address_that_cannot_be_used_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigError) as caught:
            Bedrock(base_url=url)
        assert "pw" not in str(caught.value)


class TestWho:
    def test_an_api_key_is_a_bearer_token(self, monkeypatch: pytest.MonkeyPatch, keys: None) -> None:
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "from-env")
        assert Connection("bedrock").identity() == "from-env"
        assert Connection("bedrock", api_key="given").identity() == "given"
        assert Connection("bedrock", api_key=lambda: "made").identity() == "made"
        signed = Bedrock(region="us-east-1", api_key="given")
        http = signed.sign(signed.encode(request("Hi"), stream=False), b"{}")
        assert http.headers["authorization"] == "Bearer given"
        assert "given" not in repr(http)

    @pytest.mark.parametrize("key", ["", "a b", "line\n", "schlüssel"])
    def test_a_key_that_cannot_stand_in_a_header_is_refused_and_not_shown(self, key: str) -> None:
        with pytest.raises(ConfigError) as caught:
            Bedrock(api_key=key)
        assert not key or key not in str(caught.value)

    def test_a_function_that_is_slow_to_give_the_key_is_held_to_the_time_limits(self) -> None:
        go = threading.Event()
        slow = Bedrock(region="us-east-1", api_key=lambda: str(go.wait(10)), base_url="http://127.0.0.1:1")
        asked = request("Hi").model_copy(update={"settings": Settings(timeout=Timeouts(total=0.1))})
        began = time.monotonic()
        with pytest.raises(Timeout, match="no credential"):
            slow.generate(asked)
        with pytest.raises(Timeout, match="no credential"):
            asyncio.run(slow.agenerate(asked))
        assert time.monotonic() - began < 2
        go.set()

    def test_keys_that_are_there_need_no_thread(self, keys: None) -> None:
        assert not Bedrock(region="us-east-1").may_wait()
        assert not Bedrock(region="us-east-1", api_key="k").may_wait()
        assert Bedrock(region="us-east-1", profile="dev").may_wait()

    def test_a_function_that_gives_no_key_is_typed(self) -> None:
        def fails() -> str:
            raise RuntimeError("vault")

        async def later() -> str:
            return "key"

        with pytest.raises(AuthenticationFailed, match="RuntimeError"):
            Connection("bedrock", api_key=fails).identity()
        with pytest.raises(MissingCredential):
            Connection("bedrock", api_key=lambda: "").identity()
        with pytest.raises(ConfigError, match="asynchronous"):
            Connection("bedrock", api_key=later).identity()
        assert asyncio.run(Connection("bedrock", api_key=later).aidentity()) == "key"

    def test_keys_of_the_environment_need_no_botocore(self, monkeypatch: pytest.MonkeyPatch, keys: None) -> None:
        monkeypatch.setattr(module, "import_module", no_botocore)
        monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
        assert Connection("bedrock").identity() == Keys("AKIDENV", "secret", "token")

    def test_without_botocore_the_error_is_the_command_that_installs_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "import_module", no_botocore)
        with pytest.raises(MissingExtra, match=r"pip install 'genkit-llm\[bedrock\]'.*AWS_BEARER_TOKEN_BEDROCK"):
            Connection("bedrock").identity()

    def test_keys_are_found_in_the_files(self) -> None:
        write("AWS_SHARED_CREDENTIALS_FILE", "[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = s\n")
        assert Connection("bedrock").identity() == Keys("AKIDFILE", "s")

    def test_a_profile_comes_before_the_environment(self, keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "from-env")
        write("AWS_SHARED_CREDENTIALS_FILE", "[dev]\naws_access_key_id = AKIDDEV\naws_secret_access_key = s\n")
        assert Connection("bedrock", profile="dev").identity() == Keys("AKIDDEV", "s")

    def test_a_profile_may_run_a_program_for_its_keys(self, tmp_path: Path) -> None:
        said = {"Version": 1, "AccessKeyId": "AKIDPROC", "SecretAccessKey": "s", "SessionToken": "t"}
        said["Expiration"] = "2999-01-01T00:00:00Z"
        program = tmp_path / "keys.py"
        program.write_text(f"print({json.dumps(json.dumps(said))})")
        write("AWS_CONFIG_FILE", f"[profile p]\ncredential_process = {sys.executable} {program}\n")
        connection = Connection("bedrock", profile="p")
        assert asyncio.run(connection.aidentity()) == Keys("AKIDPROC", "s", "t")

    def test_a_missing_profile_is_named(self) -> None:
        with pytest.raises(ConfigError, match="nope"):
            Connection("bedrock", profile="nope").identity()

    def test_no_credentials_at_all_says_how_to_sign_in(self) -> None:
        with pytest.raises(MissingCredential, match=r"AWS_BEARER_TOKEN_BEDROCK.*aws sso login.*profile="):
            Connection("bedrock").identity()

    def test_credentials_that_cannot_be_had_are_an_authentication_failure(self, tmp_path: Path) -> None:
        write("AWS_CONFIG_FILE", f"[profile p]\ncredential_process = {sys.executable} -c 'raise SystemExit(3)'\n")
        with pytest.raises(AuthenticationFailed, match="aws sso login") as caught:
            Connection("bedrock", profile="p").identity()
        assert caught.value.__cause__ is not None

    def test_no_error_quotes_what_a_source_of_credentials_said(self, tmp_path: Path) -> None:
        program = f"{sys.executable} -c 'import sys; sys.exit(\"hunter2\")'"
        write("AWS_CONFIG_FILE", f"[profile p]\ncredential_process = {program}\n")

        class Telling:
            region_name = "us-east-1"

            def get_credentials(self) -> None:
                raise RuntimeError("the secret is hunter2")

        class Telltale(Telling):
            @property
            def region_name(self) -> str:  # type: ignore[override]
                raise RuntimeError("the secret is hunter2")

        for options in (
            {"profile": "p", "region": "us-east-1"},
            {"session": Telling()},
            {"session": Telltale()},
        ):
            backend = Bedrock(base_url="http://127.0.0.1:1", **options)
            with pytest.raises(AuthenticationFailed) as caught:
                backend.generate(request("Hi"))
            assert "hunter2" not in str(caught.value)
            assert "hunter2" not in backend.health(online=False).message

    def test_a_session_is_made_once_however_many_ask(self, monkeypatch: pytest.MonkeyPatch) -> None:
        write("AWS_SHARED_CREDENTIALS_FILE", "[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = s\n")
        made: list[object] = []
        session = botocore.session.Session

        def counted(*arguments: Any, **options: Any) -> Any:
            made.append(1)
            time.sleep(0)
            return session(*arguments, **options)

        monkeypatch.setattr(botocore.session, "Session", counted)
        connection = Connection("bedrock")
        threads = [threading.Thread(target=connection.identity) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 1


class Refreshed:
    """Credentials that have to be refreshed each time, and say in which thread that happens."""

    def __init__(self, *, due: bool) -> None:
        self.due = due
        self.threads: list[threading.Thread] = []

    def refresh_needed(self) -> bool:
        return self.due

    def get_frozen_credentials(self) -> Any:
        self.threads.append(threading.current_thread())
        return botocore.credentials.ReadOnlyCredentials("AKIDROLE", "s", "t")


class Session:
    """A session of the user's own."""

    region_name = "eu-west-2"

    def __init__(self, credentials: Any) -> None:
        self.credentials = credentials

    def get_credentials(self) -> Any:
        return self.credentials


class TestRefreshing:
    def asked(self, credentials: Any) -> Refreshed:
        connection = Connection("bedrock", session=Session(credentials))

        async def twice() -> None:
            await connection.aidentity()
            credentials.threads.clear()
            assert await connection.aidentity() == Keys("AKIDROLE", "s", "t")

        asyncio.run(twice())
        return credentials

    def test_credentials_that_are_due_are_refreshed_off_the_event_loop(self) -> None:
        assert self.asked(Refreshed(due=True)).threads != [threading.current_thread()]

    def test_credentials_that_last_cost_no_thread(self) -> None:
        assert self.asked(Refreshed(due=False)).threads == [threading.current_thread()]

    def test_botocores_own_refreshing_is_what_runs(self) -> None:
        def refreshed() -> dict[str, str]:
            calls.append(1)
            keys = {"access_key": f"AKID{len(calls)}", "secret_key": "s", "token": "t"}
            return {**keys, "expiry_time": "2999-01-01T00:00:00Z"}

        calls: list[int] = []
        old = {"access_key": "OLD", "secret_key": "s", "token": "t", "expiry_time": "2000-01-01T00:00:00Z"}
        credentials = RefreshableCredentials.create_from_metadata(old, refreshed, "test")
        connection = Connection("bedrock", session=Session(credentials))
        assert asyncio.run(connection.aidentity()) == Keys("AKID1", "s", "t")
        assert connection.identity() == Keys("AKID1", "s", "t")
        assert len(calls) == 1

    def test_keys_are_used_until_they_end_while_others_are_fetched_and_fail(self) -> None:
        def refreshed() -> dict[str, str]:
            asked.set()
            raise RuntimeError("down")

        asked = threading.Event()
        soon = (datetime.now(UTC) + timedelta(seconds=200)).isoformat()
        old = {"access_key": "OLD", "secret_key": "s", "token": "t", "expiry_time": soon}
        credentials = RefreshableCredentials.create_from_metadata(old, refreshed, "test")
        connection = Connection("bedrock", session=Session(credentials))
        connection._credentials = credentials
        assert not connection.may_wait()
        assert connection.identity() == Keys("OLD", "s", "t")
        assert asked.wait(5)
        assert asyncio.run(connection.aidentity()) == Keys("OLD", "s", "t")

    def test_tasks_that_wait_for_keys_share_one_thread(self) -> None:
        credentials = Refreshed(due=True)
        go = threading.Event()
        credentials.get_frozen_credentials = lambda: (  # type: ignore[method-assign]
            go.wait(5),
            Refreshed.get_frozen_credentials(credentials),
        )[1]
        connection = Connection("bedrock", session=Session(credentials))

        async def many() -> int:
            before = {thread for thread in threading.enumerate() if thread.name == "genkit-credential"}
            tasks = [asyncio.create_task(connection.aidentity()) for _ in range(200)]
            await asyncio.sleep(0)
            busy = sum(thread.name == "genkit-credential" for thread in threading.enumerate() if thread not in before)
            go.set()
            assert set(await asyncio.gather(*tasks)) == {Keys("AKIDROLE", "s", "t")}
            return busy

        assert asyncio.run(many()) == 1
        assert len(credentials.threads) == 1

    def test_keys_that_are_refused_as_over_are_looked_for_again_and_the_request_sent_once_more(self) -> None:
        class Changing(Session):
            def get_credentials(self) -> Any:
                found.append(1)
                return botocore.credentials.Credentials(f"AKID{len(found)}", "s", "t")

        def script(call: Call) -> None:
            if "Credential=AKID1/" in call.request.headers["authorization"]:
                refusal = {"x-amzn-errortype": "ExpiredTokenException"}
                call.answer(b'{"message": "expired"}', status=403, headers=refusal)
            else:
                call.answer(b'{"inputTokens": 5}')

        found: list[int] = []
        request = Request(model="anthropic.claude-sonnet-4-5-20250929-v1:0", messages=(Message.user("hi"),))
        with FarEnd(script) as far:
            assert Bedrock(session=Changing(None), base_url=far.url).count_tokens(request) == 5
            assert len(far.requests) == 2
            assert asyncio.run(Bedrock(session=Changing(None), base_url=far.url).acount_tokens(request)) == 5

    def test_a_refresh_that_fails_is_typed(self) -> None:
        class Failing(Refreshed):
            def get_frozen_credentials(self) -> Any:
                raise botocore.exceptions.UnauthorizedSSOTokenError

        with pytest.raises(AuthenticationFailed, match="UnauthorizedSSOTokenError"):
            Connection("bedrock", session=Session(Failing(due=False))).identity()

    def test_credentials_without_a_key_are_none(self) -> None:
        class Empty(Refreshed):
            def get_frozen_credentials(self) -> Any:
                return botocore.credentials.ReadOnlyCredentials("", "", None)

        with pytest.raises(MissingCredential):
            Connection("bedrock", session=Session(Empty(due=False))).identity()


class TestHandedOver:
    def client(self, **options: Any) -> Any:
        return boto3.client("bedrock-runtime", region_name="ap-south-1", **options)

    def test_a_boto3_client_gives_endpoint_region_and_keys(self) -> None:
        client = self.client(
            aws_access_key_id="AKIDCLIENT", aws_secret_access_key="s", endpoint_url="https://vpce.example"
        )
        connection = Connection("bedrock", client=client)
        assert connection.identity() == Keys("AKIDCLIENT", "s")
        found = connection.place(NOVA)
        assert (found.base, found.region) == ("https://vpce.example", "ap-south-1")

    def test_a_boto3_client_with_an_api_key_gives_that(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "from-env")
        connection = Connection("bedrock", client=self.client(aws_access_key_id="AKID", aws_secret_access_key="s"))
        assert connection.bearer()
        assert connection.identity() == "from-env"

    def test_a_boto3_client_that_was_told_to_sign_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "from-env")
        keys = {"aws_access_key_id": "AKID", "aws_secret_access_key": "s"}
        client = self.client(**keys, config=Config(signature_version="v4"))
        assert Connection("bedrock", client=client).identity() == Keys("AKID", "s")

    def test_a_client_without_credentials_says_so(self) -> None:
        with pytest.raises(MissingCredential):
            Connection("bedrock", client=self.client()).identity()

    @pytest.mark.parametrize("make", [boto3.Session, None])
    def test_a_session_gives_region_and_keys(self, make: Any) -> None:
        if make is not None:
            session: Any = make(aws_access_key_id="AKIDSES", aws_secret_access_key="s", region_name="eu-west-2")
        else:
            session = botocore.session.Session()
            session.set_credentials("AKIDSES", "s")
            session.set_config_variable("region", "eu-west-2")
        connection = Connection("bedrock", session=session)
        assert connection.identity() == Keys("AKIDSES", "s")
        assert connection.place(NOVA).region == "eu-west-2"

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"client": object()}, "boto3.client"),
            ({"session": object()}, "session of boto3"),
            ({"profile": "a", "api_key": "b"}, "profile= and api_key="),
        ],
    )
    def test_what_cannot_be_taken_over_is_refused(self, options: dict[str, Any], says: str) -> None:
        with pytest.raises(ConfigError, match=says):
            Bedrock(**options)

    def test_a_client_of_another_service_is_refused(self) -> None:
        client = boto3.client("bedrock", region_name="us-east-1", config=Config(signature_version="v4"))
        with pytest.raises(ConfigError, match="a client of 'bedrock'"):
            Bedrock(client=client)

    def test_a_session_that_is_asynchronous_is_refused(self) -> None:
        class Later:
            async def get_credentials(self) -> None: ...

        with pytest.raises(ConfigError, match="asynchronous"):
            Connection("bedrock", session=Later()).identity()


class TestPlan:
    def test_a_plan_needs_no_region_no_credentials_and_no_botocore(self) -> None:
        script = """
import sys
from genkit import LLM
plan = LLM("bedrock:amazon.nova-lite-v1:0").plan("Hi")
print(plan.url, plan.headers["authorization"], plan.body, "botocore" in sys.modules, sep="\\n")
"""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd=ROOT, env=environment
        )
        scope = "<date>/<AWS_REGION>/bedrock/aws4_request"
        assert done.stdout.splitlines() == [
            "https://bedrock-runtime.<AWS_REGION>.amazonaws.com/model/amazon.nova-lite-v1%3A0/converse",
            f"AWS4-HMAC-SHA256 Credential=<AWS access key>/{scope}, SignedHeaders=..., Signature=<signature>",
            "{'messages': [{'role': 'user', 'content': [{'text': 'Hi'}]}]}",
            "False",
        ], done.stderr

    def test_a_plan_shows_no_secret(self, keys: None) -> None:
        for options in ({"api_key": "hush"}, {"headers": {"Authorization": "hush", "x-team": "blue"}}, {}):
            plan = Bedrock(region="us-east-1", **options).plan(request("Hi"))
            assert "hush" not in str(plan)
            assert "secret" not in str(plan)
        assert Bedrock(headers={"x-team": "blue"}).plan(request("Hi")).headers["x-team"] == "<headers['x-team']>"

    @pytest.mark.parametrize("token", ["a-session-token", None])
    def test_a_plan_shows_the_token_of_a_session_where_one_would_be_sent(
        self, keys: None, monkeypatch: pytest.MonkeyPatch, token: str | None
    ) -> None:
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
        if token is not None:
            monkeypatch.setenv("AWS_SESSION_TOKEN", token)
        backend = Bedrock(region="us-east-1")
        planned = backend.plan(request("Hi")).headers
        sent = backend.sign(backend.encode(request("Hi"), stream=False), b"{}").headers
        assert set(planned) == set(sent)
        assert planned.get("x-amz-security-token") == ("<AWS session token>" if token else None)

    def test_headers_that_authorize_replace_the_signature(self) -> None:
        backend = Bedrock(region="us-east-1", headers={"Authorization": "Bearer gateway"})
        http = backend.sign(backend.encode(request("Hi"), stream=False), b"{}")
        assert http.headers["authorization"] == "Bearer gateway"
        assert "x-amz-date" not in http.headers


def no_botocore(name: str) -> Any:
    if name.startswith("botocore"):
        raise ModuleNotFoundError(f"No module named {name!r}", name="botocore")
    return importlib.import_module(name)
