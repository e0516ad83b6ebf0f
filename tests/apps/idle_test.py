"""Apps that nobody asks: what they hold goes, and the next request finds them as they were."""
import random

from harness import *
from nodes import *
from run import Hammer, hammering, here


def meter(n, name):
    c = Socket(n.state)
    try:
        found = re.findall(rf"^{name}\S* (\d+)", say(c, "GET", "/metrics").text, re.M)
        return sum(int(v) for v in found)
    finally:
        c.close()


def given_back(n):
    return meter(n, "orlo_apps_given_back_total")


def loaded(n):
    return meter(n, "orlo_apps_loaded")


def pss_kib(n):
    return sum(map(processes.memory_kib, n.workers()))


def deploy_many(n, count, wasm, *more):
    for i in range(count):
        deploy_function(n, f"a{i}", wasm, *more)


def test_idle_apps_are_files():
    """200 apps that were asked once hold next to nothing once nobody asks them, answer again, and go again."""
    count = 200
    with node("--workers", "1", "--app-idle", "1s", "--no-access-log") as n:
        deploy_many(n, count, here("http"))
        eq(n.get("a0").status, 200)
        until(lambda: loaded(n) == 0)
        before, gone = pss_kib(n), 1
        for _ in range(2):
            for i in range(count):
                eq(n.get(f"a{i}").status, 200)
            gone += count
            until(lambda: loaded(n) == 0)
            check(given_back(n) >= gone, given_back(n), gone)  # those that were slow to be asked may have gone and come
            if not SANITIZED:
                until(lambda: pss_kib(n) - before < 64 * count)
        eq(n.get("a7").status, 200)
        c = Socket(n.state)
        counted = sum(int(v) for v in re.findall(r'^orlo_requests_total\{[^}]*app="a7"[^}]*code="2xx"[^}]*\} (\d+)', say(c, "GET", "/metrics").text, re.M))
        c.close()
        eq(counted, 3)  # what was counted before is not lost


def test_floods_lose_nothing():
    """Apps that go at every pause: whoever comes in that moment is answered, by functions of each kind and by folders."""
    with node("--workers", "2", "--app-idle", "1ms", "--no-access-log") as n:
        deploy_function(n, "a0", here("http"))
        deploy_function(n, "a1", guest("tenant"), grants(env={"APP": "me"}))
        deploy_function(n, "a2", here("http3"), limits(instance_requests=4))
        files = deploy_manifest(n.state, "a3", '[[files]]\nroute = "/"\nfolder = "p"\nindex = "index.html"\n', {"p/index.html": b"page"})
        check(files.get("state") == "done", files)
        right = {"a1": "me\n", "a3": "page"}
        hammers = [Hammer(n, app, lambda status, body, app=app: (status, body) == (200, right.get(app, body))) for app in ("a0", "a1", "a2", "a3") * 2]
        pauses = [Hammer(n, f"a{i}", lambda status, body: (pace(random.random() / 100), status == 200)[1]) for i in range(4)]
        with hammering(n, *pauses):
            with hammering(n, *hammers):
                pace(1)
                deploy_function(n, "a1", guest("tenant"), grants(env={"APP": "me"}), limits(requests_max=500))
            until(lambda: given_back(n) > 20)
        until(lambda: loaded(n) == 0)
        check(not n.events("app-not-loaded"), n.events("app-not-loaded"))


def test_who_is_served_keeps_his_app():
    """A request that does not end, and one that goes on after its answer; the instance goes with the app."""
    with node("--workers", "1", "--app-idle", "1ms") as n:
        deploy_function(n, "a", here("http3"), limits(instance_requests=4))
        c = http.client.HTTPConnection("127.0.0.1", n.port)
        c.request("GET", "/never", headers={"Host": "a.localhost"})
        until(lambda: int(n.get("a", "/count").text) >= 5)  # the instance where it is
        gone, count = given_back(n), int(n.get("a", "/count").text)
        in_vain(0.05, "an end of its instance")
        check(int(n.get("a", "/count").text) > count)
        eq(given_back(n), gone)
        c.close()
        until(lambda: loaded(n) == 0)
        gone, started = given_back(n), time.monotonic()
        eq(n.get("a", "/after").text, "after\n")
        until(lambda: given_back(n) > gone)
        check(time.monotonic() - started >= 0.1)  # for so long it goes on
        until(lambda: loaded(n) == 0)
        check(int(n.get("a", "/count").text) <= 1)


def test_canary_comes_back():
    pages = lambda text: {"p/index.html": text}
    manifest = '[[files]]\nroute = "/"\nfolder = "p"\nindex = "index.html"\n'
    with node("--workers", "1", "--app-idle", "100ms") as n:
        check(deploy_manifest(n.state, "a", manifest, pages(b"one")).get("state") == "done")
        check(deploy_manifest(n.state, "a", manifest, pages(b"two"), live=False).get("state") == "done")
        code, out, error = orlo("promote", "a", "2", "--state", n.state, "--share", "30%")
        check(code == 0, code, out, error)
        asks = lambda: [eq(n.get("a", "/", "-H", f"x-orlo-version: {v}").body, text) for v, text in ((1, b"one"), (2, b"two"))]
        for _ in range(3):
            asks()
            until(lambda: loaded(n) == 0)
        asks()
        code, out, error = orlo("promote", "a", "2", "--state", n.state)
        check(code == 0, code, out, error)
        until(lambda: n.get("a").body == b"two")
        until(lambda: loaded(n) == 0)
        eq(n.get("a").body, b"two")


def test_idle_apps_make_room():
    """Each keeps an instance of 10 MiB; where there is no room for another one, the one that was not asked for the longest goes."""
    count = 40
    with node("--workers", "1", "--node-memory", "200M", "--max-connections", "40", "--no-access-log") as n:
        deploy_many(n, count, here("http3"), limits(instance_requests=4, instance_idle_ms=3600000))
        for i in range(count):
            r = n.get(f"a{i}", "/grow")
            eq((i, r.status, r.text), (i, 200, "grown\n"))
        check(0 < given_back(n) < 2 * count, given_back(n))  # each was loaded when it was deployed, too
        check(int(n.get(f"a{count - 1}", "/count").text) >= 1)  # the youngest is as it was
        gone = given_back(n)
        eq(n.get("a0", "/count").status, 200)
        check(given_back(n) >= gone)
        check(not n.events("app-not-loaded"), n.events("app-not-loaded"))
