#!/usr/bin/env python3
"""Stands before a simulator, so that what the venue does can change while its tape goes on: FILE, JSON, is looked at five times a second.
  port      where it listens            backend   the simulator's port
  mode      pass; gone: nobody listens; a number: every request gets this status
  clock     seconds that the venue's time is shown wrong by
  certificate, key   https and wss"""
import asyncio
import json
import os
import re
import ssl
import sys


class Front:
    def __init__(self, file):
        self.file, self.told, self.text, self.server, self.open = file, {}, None, None, set()

    async def copy(self, source, sink, change=None):
        try:
            while data := await source.read(65536):
                sink.write(change(data) if change else data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()

    def shown(self, data):
        if not self.told.get("clock"):
            return data
        return re.sub(rb'"serverTime":(\d{13})', lambda m: b'"serverTime":%d' % (int(m[1]) + int(self.told["clock"] * 1000)), data)

    async def serve(self, reader, writer):
        self.open.add(writer)
        try:
            if str(self.told["mode"]).isdigit():
                await reader.readuntil(b"\r\n\r\n")
                body = b'{"code":-1003,"msg":"Too many requests."}'
                writer.write(b"HTTP/1.1 %d Refused\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (self.told["mode"], len(body)) + body)
                await writer.drain()
                return
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self.told["backend"])
            self.open.add(back_writer)
            await asyncio.gather(self.copy(reader, back_writer), self.copy(back_reader, writer, self.shown))
            self.open.discard(back_writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()

    async def follow(self):
        while True:
            text = open(self.file, encoding="utf-8").read()
            if text != self.text:
                before, self.told, self.text = self.told, json.loads(text), text
                if any(before.get(k) != self.told.get(k) for k in ("mode", "backend", "certificate")):
                    if self.server:
                        self.server.close()
                        self.server = None
                    for writer in list(self.open):
                        writer.transport.abort()
                    if self.told["mode"] != "gone":
                        context = None
                        if self.told.get("certificate"):
                            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                            context.load_cert_chain(self.told["certificate"], self.told["key"])
                        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.told["port"], ssl=context)
                with open(self.file + ".done", "w", encoding="utf-8") as done:
                    done.write(text)
            await asyncio.sleep(0.2)


if __name__ == "__main__":
    with open("/proc/self/comm", "w", encoding="ascii") as comm:
        comm.write("venue")
    try:
        asyncio.run(Front(sys.argv[1]).follow())
    except KeyboardInterrupt:
        os._exit(0)
