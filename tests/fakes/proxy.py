"""A forwarding proxy: CONNECT and absolute URLs, with Basic authentication if wanted; only to loopback."""

import base64
import select
import socket
import socketserver
import threading


class Proxy:
    def __init__(self, user=None, password=None, refuses=(), dead=False):
        """refuses: hosts that it answers 403 for; dead: 503 for all."""
        self.wanted = None
        if user is not None:
            self.wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.refuses, self.dead = refuses, dead
        self.asked = []  # request lines
        fake = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 30
            rbufsize = 0  # what is behind the head stays in the socket

            def handle(self):
                line = self.rfile.readline(65536).decode("latin-1").strip()
                headers = {}
                while (header := self.rfile.readline(65536).decode("latin-1").strip()):
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                if not line:
                    return
                fake.asked.append(line)
                method, target, _ = line.split(" ")
                if fake.wanted and headers.get("proxy-authorization") != fake.wanted:
                    return self.say("407 Proxy Authentication Required", 'Proxy-Authenticate: Basic realm="fake"\r\n')
                if fake.dead:
                    return self.say("503 Service Unavailable")
                host, _, port = (target if method == "CONNECT" else target.split("/")[2]).partition(":")
                if host in fake.refuses:
                    return self.say("403 Forbidden")
                if host not in ("127.0.0.1", "localhost"):
                    return self.say("502 Bad Gateway")
                with socket.create_connection((host, int(port or 80)), 10) as there:
                    if method == "CONNECT":
                        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    else:
                        path = "/" + target.split("/", 3)[3]
                        headers.pop("proxy-authorization", None)
                        headers.pop("proxy-connection", None)
                        head = "".join(f"{n}: {v}\r\n" for n, v in {**headers, "connection": "close"}.items())
                        there.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
                    self.pump(there)

            def say(self, status, more=""):
                self.wfile.write(f"HTTP/1.1 {status}\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())

            def pump(self, there):
                here = self.connection
                while True:
                    for ready in select.select([here, there], [], [], 30)[0]:
                        data = ready.recv(65536)
                        if not data:
                            return
                        (there if ready is here else here).sendall(data)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def address(self, credentials=""):
        return f"http://{credentials}127.0.0.1:{self.port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *how):
        self.close()
