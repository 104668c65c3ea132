"""An HTTP proxy of one service whose queue is long: a request that it is told to hold is answered by a reset, and passed on
much later, when the client has long made it again and gone on.

    with LateProxy(("127.0.0.1", 9000)) as late:
        late.hold("PUT", "/key")   # the next such request
        late.held                  # requests that lie here
        late.release()             # now they arrive: their statuses
"""

import http.client
import threading

from serving import Answer, Fake


class LateProxy(Fake):
    def __init__(self, target):
        self.target = target
        self.wanted = []  # (method, text of the target or body)
        self.held = []
        self.lock = threading.Lock()
        super().__init__()

    def hold(self, method, text):
        self.wanted.append((method, text.encode()))

    def answer(self, request):
        with self.lock:
            for rule in self.wanted:
                if request.method == rule[0] and (rule[1] in request.target.encode() or rule[1] in request.body[:2000]):
                    self.wanted.remove(rule)
                    self.held.append(request)
                    return Answer(drop=True)
        return self.forward(request)

    def forward(self, request):
        connection = http.client.HTTPConnection(*self.target, timeout=60)
        try:
            connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers:
                if name not in ("connection",):
                    connection.putheader(name, value)
            connection.endheaders(request.body or None)
            back = connection.getresponse()
            body = back.read()
            headers = {k: v for k, v in back.getheaders() if k.lower() not in ("connection", "keep-alive", "transfer-encoding",
                                                                                "date", "server")}
            return Answer(back.status, body, headers)
        finally:
            connection.close()

    def release(self):
        with self.lock:
            held, self.held = self.held, []
        return [self.forward(request).status for request in held]
