"""Drills: clients, and the share of the machine."""
import time

from kinds import Drill
from rig import BTC, ETH


class Slow(Drill):
    name, alert, line = "clients-slow", "TruetapeClientsSlow", "a client subscribes to everything and does not read"
    patience = 240

    def stage(self, rig):
        symbols = [f"DRILL{i}USDT" for i in range(60)]
        rig.begin(BTC, ETH, *(f"binance:{s}" for s in symbols), venue={"symbols": ",".join(["BTCUSDT", "ETHUSDT", *symbols]), "rate": 60}, trades=600)
        rig.colleague("dashboard", "slow_client", rig.state["port"], ",".join([BTC, ETH, *(f"binance:{s}" for s in symbols)]))

    def holds(self, rig):
        return rig.metric("truetape_serve_stream_closed_slow_total") or False

    def over(self, rig):
        return ["the client that does not read still runs"] if rig.runs("dashboard") else []

    def story(self, rig):
        return "Programs of other teams on this machine lie in opt/. Nobody needs their output today: what is at fault may be ended."


class Refused(Drill):
    name, alert, line = "connections-refused", "TruetapeConnectionsRefused", "a program opens more than a hundred connections"

    def stage(self, rig):
        rig.begin()
        rig.colleague("screener", "many_connections", rig.state["port"], 130)

    def holds(self, rig):
        return rig.metric("truetape_serve_refused_connections_total") or False

    def over(self, rig):
        before = rig.metric("truetape_serve_refused_connections_total")
        time.sleep(6)
        if rig.runs("screener"):
            return ["the program that opens the connections still runs"]
        return ["connections are still refused"] if rig.metric("truetape_serve_refused_connections_total") != before else []

    def story(self, rig):
        return Slow.story(self, rig)


class Starved(Drill):
    """truetape and a program that computes share a part of a core."""
    name, alert, line = "slow", "TruetapeSlow", "no core is free: another program takes what there is"
    rate, share, patience = 20, 60000, 180

    def stage(self, rig):
        group = rig.share("cpu", cpu__cfs_period_us=1000000, cpu__cfs_quota_us=self.share)
        rig.venue(rate=self.rate)
        rig.remember(unit_cgroups=[str(group)])
        rig.configure([BTC, ETH, "binance:SOLUSDT"], ["binance"])
        rig.start_unit()
        rig.wait("trades", lambda: (rig.metric("truetape_items_total", outcome="accepted") or 0) > 40, 60)
        rig.note()
        rig.colleague("transcoder", "busy", cgroups=[group])
        rig.colleague("page-viewer", "reads_stream", rig.state["port"], ",".join([BTC, ETH]))

    def holds(self, rig):
        before = rig.buckets("truetape_serve_receive_to_push_seconds")
        time.sleep(10)
        slow = rig.slow("truetape_serve_receive_to_push_seconds", before)
        return slow if slow and slow >= 0.5 else False

    def over(self, rig):
        return ["candles still leave late"] if self.holds(rig) else []

    def story(self, rig):
        return "This machine is a small one: truetape and the programs in opt/ share a part of one core. What is not truetape's may be ended or run at night."
