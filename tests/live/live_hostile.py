"""A server whose every text is an attack: a real one, with a wire in between that rewrites its words.

What a page shows of it must stay text. Whatever the page sends back is put right again on the way, so that
everything goes on working: ids, names of recipes and tokens of pages come home as they left.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import grpc
from digits.v1 import evaluation_pb2, model_pb2, prediction_pb2, sample_pb2, training_pb2
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

# Never reached: it is kept for documents (RFC 5737). Who asks for it has shown a picture of an attacker's.
ELSEWHERE = "http://192.0.2.66"
EVIL = (
    "\"'><img src=x onerror=window.pwned=1><script>window.pwned=2</script><svg onload=window.pwned=3></svg>"
    "<iframe srcdoc='<script>parent.pwned=4</script>'></iframe><style>*{color:red}</style></div></table>"
    f"<img src='{ELSEWHERE}/a.png'> ![a]({ELSEWHERE}/b.png) [a](javascript:window.pwned=5) "
    f"[a]({ELSEWHERE}/c) {ELSEWHERE}/d "
    "<b id=made-by-evil> $\\href{javascript:window.pwned=6}{x}$ :material/home: :red[pwned] "
    "\u202ednE \u2066\0\ufeff"
)
HARM = """() => {
    const found = [];
    if (window.pwned !== undefined) found.push(`ran: ${window.pwned}`);
    const look = (root) => root.querySelectorAll('*').forEach((element) => {
        if (element.id === 'made-by-evil') found.push('an element of its own');
        if (element.localName === 'script' && /pwned/.test(element.textContent)) found.push('a script');
        const source = `${element.getAttribute('src')} ${element.getAttribute('srcdoc')}`;
        if (['img', 'iframe', 'object', 'embed'].includes(element.localName)
            && /^x |192\\.0\\.2\\.66|pwned/.test(source))
            found.push(`an element: ${element.outerHTML.slice(0, 120)}`);
        for (const { name, value } of element.attributes)
            if (/^on/.test(name) && /pwned/.test(value)) found.push(`a handler: ${name}`);
        const link = element.getAttribute('href') ?? '';
        if (/^\\s*javascript:/i.test(link)) found.push('a link that runs');
        if (link.startsWith('http://192.0.2.66')) found.push(`a link: ${element.outerHTML.slice(0, 120)}`);
        if (element.classList.contains('katex')) found.push('a formula');
        if (element.dataset?.testid === 'stIconMaterial' && element.textContent === 'home')
            found.push('an icon');
        if (element.localName === 'span' && element.textContent === 'pwned') found.push('a colour');
        if (element.localName === 'style' && /color:red/.test(element.textContent)) found.push('a style');
        if (element.shadowRoot) look(element.shadowRoot);
    });
    look(document);
    return found;
}"""
"""JavaScript that lists what became of an attack: what it set, and the elements that only it makes."""
ALL = "*"
# Names that the page knows by heart: with another one it would only fail before it shows the rest.
KNOWN = ("option",)
_FILES = (prediction_pb2, training_pb2, evaluation_pb2, model_pb2, sample_pb2)


class HostileServer:
    """Stands before the server at `target`. Methods in `refusing`, or all for "*", are refused, in its words.

    with HostileServer(server.address) as hostile:
        app = launch_app(hostile.address)
    """

    def __init__(self, target: str) -> None:
        self.refusing: set[str] = set()
        self._channel = grpc.insecure_channel(target)
        # Streams that follow a run take one each.
        self._server = grpc.server(ThreadPoolExecutor(32))
        for file in _FILES:
            for service in file.DESCRIPTOR.services_by_name.values():
                self._server.add_generic_rpc_handlers([self._handler(service.full_name)])
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(0).wait()
        self._channel.close()

    def _handler(self, service: str) -> grpc.GenericRpcHandler:
        """Every method as a stream in both directions: on the wire one message is a stream of one."""
        methods = descriptor_pool.Default().FindServiceByName(service).methods
        handlers = {
            method.name: grpc.stream_stream_rpc_method_handler(
                self._forward(f"/{service}/{method.name}", method.input_type, method.output_type)
            )
            for method in methods
        }
        handler: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(service, handlers)
        return handler

    def _forward(self, path: str, asked: Any, answered: Any) -> Any:
        request_class = message_factory.GetMessageClass(asked)
        reply_class = message_factory.GetMessageClass(answered)

        def forward(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            if {ALL, path.rpartition("/")[2]} & self.refusing:
                _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "refused")
            cleaned = (_rewritten(request_class.FromString(data), _clean) for data in requests)
            call = self._channel.stream_stream(path)(cleaned, timeout=context.time_remaining())
            context.add_callback(call.cancel)
            try:
                for data in call:
                    yield _rewritten(reply_class.FromString(data), _soiled)
            except grpc.RpcError as error:
                if context.is_active():
                    _refuse(context, error.code(), error.details() or "")

        return forward


def _refuse(context: grpc.ServicerContext, code: grpc.StatusCode, message: str) -> None:
    """End a call with words of the attacker's."""
    text = _soiled(message)
    status = status_pb2.Status(code=code.value[0], message=text)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="EVIL", domain="digits"))
    violation = error_details_pb2.BadRequest.FieldViolation(field=EVIL, description=text)
    status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, text)


def _soiled(text: str) -> str:
    return text + EVIL


def _clean(text: str) -> str:
    return text.replace(EVIL, "")


def _rewritten(message: Message, rewrite: Any) -> bytes:
    _rewrite(message, rewrite)
    return message.SerializeToString()


def _rewrite(message: Message, rewrite: Any) -> None:
    """Change every text in a message, however deep it is, keys and values of maps too."""
    if message.DESCRIPTOR.full_name.startswith("google.protobuf."):
        return
    for field in message.DESCRIPTOR.fields:
        if field.name in KNOWN:
            continue
        value = getattr(message, field.name)
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if is_map:
            _rewrite_map(value, field, rewrite)
        elif field.type == FieldDescriptor.TYPE_STRING and field.is_repeated:
            texts = [rewrite(text) for text in value]
            del value[:]
            value.extend(texts)
        elif field.type == FieldDescriptor.TYPE_STRING and (
            value or field.name in ("failure_reason", "device")
        ):
            setattr(message, field.name, rewrite(value))
        elif field.message_type is not None and field.is_repeated:
            for each in value:
                _rewrite(each, rewrite)
        elif field.message_type is not None and message.HasField(field.name):
            _rewrite(value, rewrite)


def _rewrite_map(value: Any, field: FieldDescriptor, rewrite: Any) -> None:
    key, of = (field.message_type.fields_by_name[name] for name in ("key", "value"))
    if key.type == FieldDescriptor.TYPE_STRING and of.type == FieldDescriptor.TYPE_STRING:
        changed = {rewrite(name): rewrite(text) for name, text in value.items()}
        value.clear()
        value.update(changed)
