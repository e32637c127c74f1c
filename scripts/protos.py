"""Prints the .proto files of Triton's gRPC service into tiers/gold/proto, from the wheel `tritonclient`.

Triton's own .proto files are in no package; the descriptors inside the client's generated modules say the same. Run it
again when the pinned version changes: `python3 scripts/protos.py`. It fetches the two wheels with pip, by hash, into a
folder that it removes, and reads nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

WHEELS = """\
tritonclient==2.51.0 --hash=sha256:c485bb0123bdf310f90bc8b03d3489b28df2ffed55b30c7eee0b795b48113d52
protobuf==4.25.8 --hash=sha256:83e6e54e93d2b696a92cad6e6efc924f3850f82b52e1563778dfab8b355101b0
"""
TARGET = Path(__file__).resolve().parent.parent / "tiers" / "gold" / "proto"
MODULES = {"model_config_pb2": "model_config.proto", "service_pb2": "grpc_service.proto"}
KINDS = {
    1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 6: "fixed64", 7: "fixed32", 8: "bool",
    9: "string", 12: "bytes", 13: "uint32", 15: "sfixed32", 16: "sfixed64", 17: "sint32", 18: "sint64",
}  # fmt: skip


def fetch(folder: Path) -> None:
    """Unpacks the two wheels into `folder`. Raises CalledProcessError when pip cannot."""
    requirements = folder / "requirements.txt"
    requirements.write_text(WHEELS)
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(folder / "packages"), "-r", str(requirements)],
        check=True,
    )


def type_of(field: Any) -> str:
    """The type of a field as it is written in a .proto file; message and enum names in full."""
    return KINDS.get(field.type) or field.type_name


def print_field(field: Any, nested: dict[str, Any], indent: str, in_oneof: bool) -> str:
    entry = nested.get(field.type_name.rsplit(".", 1)[-1]) if field.type == 11 else None
    if entry is not None and entry.options.map_entry:
        key, value = entry.field
        return f"{indent}map<{type_of(key)}, {type_of(value)}> {field.name} = {field.number};"
    label = "repeated " if field.label == 3 and not in_oneof else ""
    return f"{indent}{label}{type_of(field)} {field.name} = {field.number};"


def print_enum(enum: Any, indent: str) -> list[str]:
    values = [f"{indent}  {value.name} = {value.number};" for value in enum.value]
    return [f"{indent}enum {enum.name} {{", *values, f"{indent}}}"]


def print_message(message: Any, indent: str = "") -> list[str]:
    """The lines of one message with all that is nested in it."""
    nested = {inner.name: inner for inner in message.nested_type}
    lines = [f"{indent}message {message.name} {{"]
    for enum in message.enum_type:
        lines += print_enum(enum, indent + "  ")
    for inner in message.nested_type:
        if not inner.options.map_entry:
            lines += print_message(inner, indent + "  ")
    for field in message.field:
        if not field.HasField("oneof_index"):
            lines.append(print_field(field, nested, indent + "  ", False))
    for index, oneof in enumerate(message.oneof_decl):
        lines.append(f"{indent}  oneof {oneof.name} {{")
        for field in message.field:
            if field.HasField("oneof_index") and field.oneof_index == index:
                lines.append(print_field(field, nested, indent + "    ", True))
        lines.append(f"{indent}  }}")
    return [*lines, f"{indent}}}"]


def print_file(file: Any) -> str:
    """A whole .proto file."""
    lines = [
        "// Printed by scripts/protos.py from the descriptors in the wheel tritonclient 2.51.0 (BSD-3-Clause). Do not edit.",
        'syntax = "proto3";',
        f"package {file.package};",
        *(f'import "{name}";' for name in file.dependency),
    ]
    for enum in file.enum_type:
        lines += print_enum(enum, "")
    for message in file.message_type:
        lines += print_message(message)
    for service in file.service:
        lines.append(f"service {service.name} {{")
        for method in service.method:
            request = ("stream " if method.client_streaming else "") + method.input_type
            response = ("stream " if method.server_streaming else "") + method.output_type
            lines.append(f"  rpc {method.name}({request}) returns ({response});")
        lines.append("}")
    return "\n".join(lines) + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fetch(folder)
        sys.path.insert(0, str(folder / "packages"))
        from google.protobuf import descriptor_pb2

        # Not `tritonclient.grpc` itself: its package wants grpcio, which nothing here needs.
        sys.path.insert(0, str(folder / "packages" / "tritonclient" / "grpc"))
        TARGET.mkdir(parents=True, exist_ok=True)
        for module, target in MODULES.items():
            file = descriptor_pb2.FileDescriptorProto()
            load(module).DESCRIPTOR.CopyToProto(file)
            for i, dependency in enumerate(file.dependency):
                file.dependency[i] = dependency.rsplit("/", 1)[-1]
            (TARGET / target).write_text(print_file(file))
            print(f"written: {TARGET / target}")


def load(module: str) -> Any:
    """Imports a generated module by its file alone; the second one imports the first by its full name."""
    import importlib
    import types

    for name in ("tritonclient", "tritonclient.grpc"):
        sys.modules.setdefault(name, types.ModuleType(name))
    loaded = importlib.import_module(module)
    sys.modules[f"tritonclient.grpc.{module}"] = loaded
    setattr(sys.modules["tritonclient.grpc"], module, loaded)
    return loaded


if __name__ == "__main__":
    main()
