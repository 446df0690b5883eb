"""Settings: what is right, and the error of what is wrong (C1, C2); and that none is missing."""

from __future__ import annotations

import inspect
import json
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from ambassador_proxy import (
    AmbassadorError,
    AmbassadorProxy,
    Auth,
    Backoff,
    Breaker,
    Budget,
    Bulkhead,
    ConfigError,
    Discovery,
    Endpoint,
    HealthCheck,
    Hedge,
    Http,
    Outlier,
    Policy,
    RateLimit,
    Tls,
    _native,
)
from ambassador_proxy._settings import GROUPS
from conftest import Flaky, output_of

FIELDS = {field["name"]: field for field in json.loads(_native.settings_json())}


@pytest.mark.parametrize(
    "source",
    [
        {"version": 1, "targets": {"rates.example.com": {"max_retries": 7}}},
        "version: 1\ntargets: {rates.example.com: {max_retries: 7}}\n",
    ],
)
def test_a_configuration_from_code_holds_for_proxies_made_from_then_on(source):
    program = f"""
        from ambassador_proxy import AmbassadorProxy, ConfigError, configure

        configure({source!r})
        try:
            configure("nowhere.yaml")
        except ConfigError as wrong:
            print("nowhere.yaml" in str(wrong))
        proxy = AmbassadorProxy("rates.example.com", max_retries=2)
        print(proxy.policy.max_retries, proxy.effective_policy()[0].origin)
    """
    told = output_of(program)
    assert told.startswith("True\n7 config configuration:"), told


def test_the_defaults_are_the_seeds(target):
    ambassador = AmbassadorProxy(target)
    assert (ambassador.target, ambassador.max_retries, ambassador.timeout) == (target, 3, 2.0)
    assert ambassador.policy == Policy(
        max_retries=3,
        name=target,
        timeout=2.0,
        deadline=None,
        run_in="worker",
        backoff=Backoff(base=2.0, factor=2.0, max=30.0, jitter="full", hint_max=60.0),
        budget=Budget(ratio=0.2, min_per_second=10.0, window=10.0),
        breaker=Breaker(
            failure_rate=0.5,
            min_calls=20,
            window=30.0,
            slow_rate=1.0,
            open_for=5.0,
            open_max=60.0,
            probes=3,
        ),
        bulkhead=None,
        rate_limit=None,
        hedge=None,
        idempotent=False,
        endpoints=(),
        discovery=None,
        balance="p2c",
        hash_on=None,
        zone=None,
        slow_start=None,
        outlier=Outlier(consecutive_failures=5, base=30.0, max=300.0, max_ejected=0.1, panic=0.5),
        health_check=None,
        tls=Tls(min_version="1.2", dangerous_accept_invalid_certificates=False),
        auth=None,
        headers={},
        idempotency_key="off",
        http=Http(
            version="auto",
            max_header_bytes=65536,
            max_body_bytes=67108864,
            replay_bytes=1048576,
            follow_redirects=0,
            decompress=True,
            proxy_from_environment=False,
            attempt_headers=False,
            max_connections=100,
            idle_timeout=60.0,
        ),
    )


def test_the_seeds_constructor_takes_its_arguments_by_place_and_by_name(target):
    for ambassador in (
        AmbassadorProxy(target, 5, 0.5),
        AmbassadorProxy(target_host=target, max_retries=5, timeout=0.5),
    ):
        assert (ambassador.target, ambassador.max_retries, ambassador.timeout) == (target, 5, 0.5)


def test_every_setting_of_the_core_is_there_and_no_other():
    parameters = set(inspect.signature(AmbassadorProxy.__init__).parameters) - {"self", "target_host", "unknown"}
    assert parameters == {name for name in FIELDS if "." not in name}
    for group, kind in GROUPS.items():
        assert set(inspect.signature(kind).parameters) == {
            name.partition(".")[2] for name in FIELDS if name.startswith(f"{group}.")
        }


def test_the_effective_policy_tells_where_each_setting_comes_from(target):
    ambassador = AmbassadorProxy(target, max_retries=5, timeout=2.0, backoff={"base": 0.25}, auth={"bearer": "s3cret"})
    told = ambassador.effective_policy()
    assert [setting.field for setting in told] == [name for name, field in FIELDS.items() if field["kind"] != "host"]
    given = {"max_retries": 5, "backoff.base": 0.25, "auth": True, "auth.bearer": "***"}
    assert {setting.field: setting.value for setting in told if setting.origin == "constructor"} == given
    assert {setting.origin for setting in told} == {"default", "constructor"}
    assert next(setting.value for setting in told if setting.field == "timeout") == 2.0


def test_the_policy_as_json_is_spelled_as_in_the_file(target):
    told = json.loads(AmbassadorProxy(target, max_retries=5, backoff={"base": 0.25}).policy_json())
    assert told[0] == {"field": "max_retries", "value": 5, "origin": "constructor"}
    assert {"field": "timeout", "value": "2s", "origin": "default"} in told
    assert {"field": "backoff.base", "value": "250ms", "origin": "constructor"} in told


def test_every_setting_is_shown_by_the_policy(target):
    settings = {
        "max_retries": 7,
        "name": "mine",
        "timeout": 0.25,
        "deadline": 9.5,
        "run_in": "worker",
        "backoff": Backoff(base=0.1, factor=3.0, max=5.0, jitter="equal", hint_max=7.0),
        "budget": Budget(ratio=0.5, min_per_second=3.0, window=5.0),
        "breaker": Breaker(
            failure_rate=0.25,
            min_calls=7,
            window=9.0,
            consecutive_failures=4,
            slow_call=0.5,
            slow_rate=0.75,
            open_for=1.0,
            open_max=8.0,
            probes=2,
        ),
        "bulkhead": Bulkhead(max_concurrent=5, max_queue=6, queue_timeout=0.5),
        "rate_limit": RateLimit(rate=100.0, per=2.0, burst=3, max_wait=0.25),
        "hedge": Hedge(after=0.05, max=2),
        "idempotent": True,
        "endpoints": (
            Endpoint("http://10.0.0.7:8080", weight=3, zone="a", metadata={"rack": "7"}),
            Endpoint("10.0.0.8", weight=1),
        ),
        "discovery": None,
        "balance": "ring_hash",
        "hash_on": "header:x-user",
        "zone": "a",
        "slow_start": 30.0,
        "outlier": Outlier(consecutive_failures=7, base=1.0, max=9.0, max_ejected=0.25, panic=0.125),
        "health_check": HealthCheck(path="/healthz", tcp=False, interval=5.0, timeout=0.5, unhealthy=4, healthy=1),
        "tls": Tls(
            server_name="payments.internal",
            min_version="1.3",
            pins=("A" * 43 + "=",),
            dangerous_accept_invalid_certificates=False,
        ),
        "auth": None,
        "headers": {},
        "idempotency_key": "auto",
        "http": Http(
            version="1",
            max_header_bytes=9000,
            max_body_bytes=9001,
            replay_bytes=9002,
            follow_redirects=3,
            decompress=False,
            proxy_from_environment=True,
            attempt_headers=True,
            max_connections=7,
            idle_timeout=9.0,
        ),
    }
    assert AmbassadorProxy(target, **settings).policy == Policy(**settings)
    assert AmbassadorProxy(target, run_in="caller").policy.run_in == "caller"


def test_endpoints_are_urls_objects_or_mappings(target):
    endpoints = ["10.0.0.7:80", Endpoint("10.0.0.8", zone="b"), {"url": "http://10.0.0.9", "weight": 2}]
    assert AmbassadorProxy(target, endpoints=endpoints).policy.endpoints == (
        Endpoint("10.0.0.7:80", weight=1),
        Endpoint("10.0.0.8", weight=1, zone="b"),
        Endpoint("http://10.0.0.9", weight=2),
    )
    assert len(AmbassadorProxy(target, endpoints=tuple(endpoints)).policy.endpoints) == 3
    assert len(AmbassadorProxy(target, endpoints={"10.0.0.7"}).policy.endpoints) == 1
    for nothing in (None, []):
        assert AmbassadorProxy(target, endpoints=nothing).policy.endpoints == ()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (Discovery(dns="api.internal"), Discovery(dns="api.internal", refresh=30.0)),
        ({"srv": "_http._tcp.api.internal"}, Discovery(srv="_http._tcp.api.internal", refresh=30.0)),
        (
            Discovery(file=Path("/etc/endpoints.yaml"), servers=["127.0.0.1"], refresh=timedelta(seconds=1)),
            Discovery(file="/etc/endpoints.yaml", servers=("127.0.0.1:53",), refresh=1.0),
        ),
    ],
)
def test_endpoints_are_discovered_in_one_of_several_places(target, given, shown):
    assert AmbassadorProxy(target, discovery=given).policy.discovery == shown


TOKEN = "t0p-s3cret"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (Auth(bearer=TOKEN), Auth(bearer="***")),
        ({"bearer_env": "API_TOKEN"}, Auth(bearer_env="API_TOKEN")),
        (Auth(bearer_file=Path("/run/token")), Auth(bearer_file="/run/token")),
        (Auth(username="shop", password=TOKEN), Auth(username="shop", password="***")),
        (Auth(api_key=TOKEN), Auth(api_key="***", api_key_header="x-api-key")),
        (
            Auth(token_url="https://id.example.com/token", client_id="shop", client_secret=TOKEN, scope="pay"),
            Auth(token_url="https://id.example.com/token", client_id="shop", client_secret="***", scope="pay"),
        ),
    ],
)
def test_credentials_are_one_of_several_kinds_and_never_shown(target, given, shown):
    ambassador = AmbassadorProxy(target, auth=given, headers={"x-trace-key": TOKEN})
    assert ambassador.policy.auth == shown
    assert ambassador.policy.headers == {"x-trace-key": "***"}
    for one in (ambassador, ambassador.policy, given if isinstance(given, Auth) else None, ambassador.health()):
        assert TOKEN not in repr(one)


@pytest.mark.parametrize(
    "settings",
    [
        {"auth": TOKEN},
        {"auth": [TOKEN]},
        {"auth": {"bearer": f"{TOKEN}\n"}},
        {"auth": {"baerer": TOKEN}},
        {"auth": {"bearer": TOKEN.encode()}},
        {"headers": TOKEN},
        {"headers": {"a b": TOKEN}},
        {"headers": {"authorization": [TOKEN]}},
        {"endpoints": [f"http://me:{TOKEN}@host"]},
        {"endpoints": [{"url": f"http://me:{TOKEN}@host"}]},
    ],
)
def test_a_wrong_setting_does_not_show_what_is_secret(target, settings):
    with pytest.raises(ConfigError) as caught:
        AmbassadorProxy(target, **settings)
    assert TOKEN not in str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"discovery": {"refresh": 5}}, "discovery: None is not allowed; expected one of discovery.dns"),
        ({"discovery": {"dns": "a"}, "endpoints": ["b"]}, "endpoints: a list of 1 is not allowed"),
        ({"health_check": {"path": "/", "tcp": True}}, "health_check: health_check.path and health_check.tcp is not"),
        ({"auth": {"username": "shop"}}, "auth.password: None is not allowed"),
        ({"tls": {"cert": "cert.pem"}}, "tls.key: None is not allowed"),
        ({"balance": "maglev"}, "hash_on: None is not allowed"),
        ({"hash_on": "path"}, 'hash_on: "path" is not allowed; expected a key beside ring_hash or maglev alone'),
    ],
)
def test_settings_of_networking_have_to_fit_each_other(target, settings, message):
    with pytest.raises(ConfigError) as caught:
        AmbassadorProxy(target, **settings)
    assert str(caught.value).startswith(message)


def test_lengths_of_time_are_seconds_or_timedeltas(target):
    for length in (0.25, Fraction(1, 4), timedelta(milliseconds=250)):
        if isinstance(length, Fraction):
            # No kind of number that the settings know.
            with pytest.raises(ConfigError):
                AmbassadorProxy(target, timeout=length)
            continue
        assert AmbassadorProxy(target, timeout=length).timeout == 0.25
    assert AmbassadorProxy(target, timeout=2).timeout == 2.0
    assert AmbassadorProxy(target, backoff={"base": timedelta(seconds=1)}).policy.backoff.base == 1.0


def test_a_group_is_an_object_a_mapping_or_switched_off(target):
    as_object = AmbassadorProxy(target, backoff=Backoff(base=0.1, jitter="none")).policy.backoff
    as_mapping = AmbassadorProxy(target, backoff={"base": 0.1, "jitter": "none"}).policy.backoff
    assert as_object == as_mapping == Backoff(base=0.1, factor=2.0, max=30.0, jitter="none", hint_max=60.0)
    for off in (None, False):
        assert AmbassadorProxy(target, backoff=off).policy.backoff.base == 0.0
        policy = AmbassadorProxy(target, breaker=off, budget=off, bulkhead=off, rate_limit=off).policy
        assert (policy.breaker, policy.budget, policy.bulkhead, policy.rate_limit) == (None, None, None, None)
    assert AmbassadorProxy(target, bulkhead={"max_concurrent": "adaptive"}).policy.bulkhead.max_concurrent == "adaptive"


def test_a_hedge_begins_after_a_length_of_time_or_a_share_of_the_targets_attempts(target):
    for after, shown in ((0.25, 0.25), (timedelta(milliseconds=250), 0.25), ("p50", "p50"), ("p99", "p99")):
        policy = AmbassadorProxy(target, hedge={"after": after}, idempotent=True).policy
        assert policy.hedge == Hedge(after=shown, max=1)
        assert policy.run_in == "worker"
    assert AmbassadorProxy(target, hedge=Hedge(after=1), idempotent=True, timeout=None).policy.run_in == "worker"
    for off in (None, False):
        assert AmbassadorProxy(target, hedge=off).policy.hedge is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "idempotent: False is not allowed; expected True beside hedge, which runs the function twice at once"),
        (
            {"idempotent": True, "max_retries": 1},
            "max_retries: 1 is not allowed; expected 2 or more beside hedge, which is an attempt",
        ),
        (
            {"idempotent": True, "run_in": "caller"},
            'run_in: "caller" is not allowed; expected worker beside hedge, which runs the function twice at once',
        ),
        (
            {"idempotent": True, "hedge": {"after": "p96"}},
            'hedge.after: "p96" is not allowed; expected a number of seconds above 0 and at most 31536000, or one of p50, p90,'
            " p95, p99",
        ),
        (
            {"idempotent": True, "hedge": Hedge(after=0.05, max=4)},
            "hedge.max: 4 is not allowed; expected a whole number from 1 to 3",
        ),
    ],
)
def test_a_hedge_says_what_it_needs_besides(target, settings, message):
    with pytest.raises(ConfigError) as caught:
        AmbassadorProxy(target, **{"hedge": Hedge(after=0.05), **settings})
    assert str(caught.value) == message


def test_a_group_without_what_it_cannot_do_without_is_refused(target):
    with pytest.raises(ConfigError, match=r"^bulkhead.max_concurrent: None is not allowed"):
        AmbassadorProxy(target, bulkhead=Bulkhead(max_queue=5))
    with pytest.raises(ConfigError, match=r"^rate_limit.rate: None is not allowed"):
        AmbassadorProxy(target, rate_limit={"burst": 5})
    with pytest.raises(ConfigError, match=r"^hedge.after: None is not allowed"):
        AmbassadorProxy(target, hedge={"max": 2}, idempotent=True)


WRONG = {
    "count": [-1, 10_000_000_000, 2.5, "3", None, True, 10**30],
    "count_or_word": [0, -1, 2.5, "many", True, 10**30],
    "duration_or_word": [0, -1, float("nan"), "2", "p96", [1], True, timedelta(0), 1e300],
    "truth": ["yes", 1, 0.0, None, [True]],
    "duration": [-1, float("nan"), float("inf"), "2", [1], True, timedelta(days=-1), 1e300],
    "number": [-2, 1e12, float("nan"), float("inf"), "2", None, True],
    "choice": ["Full", "", 1, None, True],
    "text": ["", 3, None, "a\nb"],
    "secret": ["", 3, "a\nb", b"bytes"],
    "texts": ["text", 5, True, [5], [""], ["two words"]],
    "pairs": ["text", 5, ["a"], {"a b": "c"}, {"a": 5}, {"a": "b\nc"}],
    "endpoints": [
        *("10.0.0.7", 5, True, [5], ["two words"], ["http://host/path"], [{"weight": 2}]),
        *([{"url": "a", "weight": 0}], [{"url": "a", "wait": 1}], {"url": "a"}, [{"url": "a", "metadata": {"b": 5}}]),
    ],
    "host": [5, "Exception", [ValueError], (), (ValueError, 5), KeyboardInterrupt],
    "group": [3, "full", True and 1.5, [1]],
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_wrong_value_is_named_with_what_is_allowed(target, name):
    field = FIELDS[name]
    group, _, inner = name.partition(".")
    if name == "fallback":
        # Anything may answer.
        return
    values = [value for value in WRONG[field["kind"]] if not (name == "classify" and isinstance(value, type))]
    if name == "name":
        values = [*values, " spaced "]
    if field["allowed"].endswith("or None"):
        values = [value for value in values if value is not None]
    for value in values:
        settings = {group: {inner: value}} if inner else {group: value}
        with pytest.raises(ConfigError) as caught:
            AmbassadorProxy(target, **settings)
        error = caught.value
        assert (error.field, error.value, error.allowed) == (name, error.value, field["allowed"])
        assert str(error) == f"{name}: {error.value} is not allowed; expected {field['allowed']}"
        assert isinstance(error, AmbassadorError)
        assert isinstance(error, ValueError)
        assert error.code == "CONFIG"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_retries": 0}, "max_retries: 0 is not allowed; expected a whole number from 1 to 100"),
        ({"max_retries": "3"}, 'max_retries: "3" is not allowed; expected a whole number from 1 to 100'),
        (
            {"timeout": -2},
            "timeout: -2 is not allowed; expected a number of seconds above 0 and at most 31536000, or None",
        ),
        (
            {"timeout": float("nan")},
            "timeout: nan is not allowed; expected a number of seconds above 0 and at most 31536000, or None",
        ),
        (
            {"backoff": {"jitter": "half"}},
            'backoff.jitter: "half" is not allowed; expected one of full, equal, decorrelated, none',
        ),
    ],
)
def test_messages_name_field_value_and_what_is_allowed(target, settings, message):
    with pytest.raises(ConfigError) as caught:
        AmbassadorProxy(target, **settings)
    assert str(caught.value) == message


def test_an_unknown_setting_is_named_with_the_one_that_was_meant(target):
    with pytest.raises(ConfigError, match=r"max_retrys: .* did you mean max_retries\?"):
        AmbassadorProxy(target, max_retrys=3)
    with pytest.raises(ConfigError, match=r"backoff\.jiter: .* did you mean backoff\.jitter\?"):
        AmbassadorProxy(target, backoff={"jiter": "none"})


@pytest.mark.parametrize("wrong", ["", "two words", "http://user:secret@host", "host:0", None, 5, b"host", "h\udc80st"])
def test_a_target_that_is_no_host_is_named(wrong):
    with pytest.raises(ConfigError) as caught:
        AmbassadorProxy(wrong)
    assert caught.value.field == "target_host"
    assert "a host such as payment-api.example.com" in str(caught.value)


def test_a_value_whose_repr_throws_is_still_told(target):
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("broken repr")

    with pytest.raises(ConfigError, match="a value that cannot be shown"):
        AmbassadorProxy(target, timeout=Broken())


def test_a_missing_target_is_a_type_error():
    with pytest.raises(TypeError):
        AmbassadorProxy()


def test_max_retries_counts_attempts_in_all(proxy):
    for attempts in (1, 2, 100):
        function = Flaky(*[ConnectionError()] * 200)
        with pytest.raises(ConnectionError):
            proxy(max_retries=attempts, timeout=None).call(function)
        assert function.calls == attempts
