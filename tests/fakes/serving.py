"""A small HTTP server for fakes: threads, loopback only, TLS if wanted, and a record of what was asked."""

import datetime
import http.server
import socket
import ssl
import subprocess
import tempfile
import threading
from email.utils import formatdate
from pathlib import Path


class Request:
    def __init__(self, handler, body):
        self.method = handler.command
        self.target = handler.path  # as sent
        self.path, _, self.query = handler.path.partition("?")
        self.headers = [(k.lower(), v) for k, v in handler.headers.items()]
        self.body = body
        self.peer = handler.client_address

    def header(self, name, default=None):
        for k, v in self.headers:
            if k == name.lower():
                return v
        return default


class Answer:
    """status, headers and body; what else a test wants done to the connection."""

    def __init__(self, status=200, body=b"", headers=None, cut_at=None, drop=False, late=0.0):
        self.status = status
        self.body = body.encode() if isinstance(body, str) else body
        self.headers = dict(headers or {})
        self.cut_at = cut_at  # send only so many bytes of the body, then close
        self.drop = drop  # close without an answer
        self.late = late  # seconds to wait before answering


class Fake:
    """Subclasses define answer(request). With tls (True, or the first and last day of a certificate's life from now), .ca is
    a PEM file to trust."""

    def __init__(self, tls=False, names=("localhost",)):
        self.requests = []
        self.clock_offset = 0.0  # seconds that this server's clock is ahead
        self.folder = None
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1
            timeout = 60

            def log_message(self, *args):
                pass

            def version_string(self):
                return "fake"

            def date_time_string(self, timestamp=None):
                return formatdate(fake.now().timestamp(), usegmt=True)

            def run(self):
                if self.headers.get("transfer-encoding"):
                    self.send_error(501)
                    return
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                if len(body) < length:
                    self.close_connection = True
                    return
                request = Request(self, body)
                fake.requests.append(request)
                self.reply(request, fake.answer(request))

            def reply(self, request, answer):
                if answer.late:
                    fake.stopping.wait(answer.late)
                if answer.drop:
                    self.close_connection = True
                    try:
                        self.connection.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass
                    return
                self.send_response(answer.status)
                headers = {k: v for k, v in answer.headers.items() if v is not None}
                if not any(k.lower() == "content-length" for k in headers) and answer.status != 204:
                    headers["Content-Length"] = str(len(answer.body))
                if request.header("connection") == "close":
                    headers["Connection"] = "close"
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if request.method == "HEAD":
                    return
                self.wfile.write(answer.body if answer.cut_at is None else answer.body[:answer.cut_at])
                if answer.cut_at is not None:
                    self.wfile.flush()
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = run

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request, client_address):
                pass  # clients cut connections here on purpose

        self.stopping = threading.Event()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.tls = tls
        if tls:
            self.folder = tempfile.TemporaryDirectory(prefix="holdfast-fake.")
            certificate, key = make_certificate(Path(self.folder.name), names) if tls is True else \
                make_dated_certificate(Path(self.folder.name), names, *tls)
            self.ca = str(certificate)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.url = f"{'https://localhost' if tls else 'http://127.0.0.1'}:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def now(self):
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.clock_offset)

    def answer(self, request):
        raise NotImplementedError

    def close(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        if self.folder:
            self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *how):
        self.close()


def make_dated_certificate(folder, names, first, last):
    """As make_certificate(), good from and until so many days from now, which openssl's command cannot say."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    certificate, key = folder / "certificate.pem", folder / "key.pem"
    pair, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(pair.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now + datetime.timedelta(days=first))
            .not_valid_after(now + datetime.timedelta(days=last))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
            .add_extension(x509.BasicConstraints(True, None), True).sign(pair, hashes.SHA256()))
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(pair.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                       serialization.NoEncryption()))
    return certificate, key


def make_certificate(folder, names, days=2):
    """A self-signed certificate for the names: (certificate file, key file)."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    line = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
            key, "-out", certificate, "-subj", f"/CN={names[0]}", "-addext",
            "subjectAltName=" + ",".join(f"DNS:{n}" for n in names), "-days", str(days)]
    subprocess.run([str(part) for part in line], check=True, capture_output=True)
    return certificate, key
