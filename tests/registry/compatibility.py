"""Whether one Avro schema can read what another has written: the resolution rules of Avro's specification, as schema registries
apply them. Standard library only."""
import json

PRIMITIVES = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}
# What a reader of the first may be given besides the same: what a writer of the others wrote.
PROMOTED = {"long": {"int"}, "float": {"int", "long"}, "double": {"int", "long", "float"}, "string": {"bytes"}, "bytes": {"string"}}


class Schema:
    """A schema whose names are resolved. `ValueError` says what is wrong with the text."""

    def __init__(self, text):
        try:
            parsed = json.loads(text)
        except (TypeError, ValueError) as wrong:
            raise ValueError(f"no JSON: {wrong}") from None
        self.identity = json.dumps(parsed, sort_keys=True, separators=(",", ":"))
        self.named = {}
        self.root = self.resolve(parsed, "")

    def resolve(self, node, space):
        """Every type as a list (a union) or an object with `type`; named types as their full names, the objects in `named`."""
        if isinstance(node, list):
            return [self.resolve(branch, space) for branch in node]
        if isinstance(node, str):
            if node in PRIMITIVES:
                return {"type": node}
            full = node if "." in node or not space else f"{space}.{node}"
            if full not in self.named:
                raise ValueError(f"the type {node} is not defined")
            return full
        if not isinstance(node, dict) or "type" not in node:
            raise ValueError(f"{json.dumps(node)} is no schema")
        kind = node["type"]
        if not isinstance(kind, str):
            return self.resolve(kind, space)
        if kind in PRIMITIVES:
            return {"type": kind}
        if kind in ("array", "map"):
            inner = "items" if kind == "array" else "values"
            if inner not in node:
                raise ValueError(f"{kind} without {inner}")
            return {"type": kind, "inner": self.resolve(node[inner], space)}
        if kind in ("record", "enum", "fixed"):
            return self.define(kind, node, space)
        return self.resolve(kind, space)

    def define(self, kind, node, space):
        name = node.get("name")
        if not name or not isinstance(name, str):
            raise ValueError(f"{kind} without a name")
        space = node.get("namespace", space) if "." not in name else name.rpartition(".")[0]
        full = name if "." in name or not space else f"{space}.{name}"
        if full in self.named:
            raise ValueError(f"{full} is defined twice")
        made = self.named[full] = {"type": kind, "name": full.rpartition(".")[2], "aliases": set(node.get("aliases", []))}
        if kind == "enum":
            made["symbols"], made["default"] = node["symbols"], node.get("default")
        elif kind == "fixed":
            made["size"] = node["size"]
        else:
            made["fields"] = [{"name": field["name"], "aliases": field.get("aliases", []), "default": "default" in field,
                               "type": self.resolve(field["type"], space)} for field in node["fields"]]
        return full


def problems(reader, writer):
    """What keeps the reader (a Schema) from the writer's values; empty: nothing. In the words of Confluent's registry, by kind."""
    return list(_problems(reader, writer, reader.root, writer.root, "", set()))


def _problems(reader, writer, r, w, path, seen):
    place = path or "/"
    if isinstance(w, list):
        for branch in w:
            yield from _problems(reader, writer, r, branch, path, seen)
        return
    if isinstance(r, list):
        if not any(not list(_problems(reader, writer, branch, w, path, set(seen))) for branch in r):
            yield f"{{errorType:'MISSING_UNION_BRANCH', description:'The new schema is missing a type inside a union field at path '{place}''}}"
        return
    if isinstance(r, str) and isinstance(w, str):
        if (r, w) in seen:
            return
        seen.add((r, w))
    r = reader.named[r] if isinstance(r, str) else r
    w = writer.named[w] if isinstance(w, str) else w
    if r["type"] != w["type"]:
        if w["type"] not in PROMOTED.get(r["type"], ()):
            yield (f"{{errorType:'TYPE_MISMATCH', description:'The type (path '{place}') of a field in the new schema does not match with the "
                   f"old schema', additionalInfo:'reader type: {r['type'].upper()} not compatible with writer type: {w['type'].upper()}'}}")
        return
    if "name" in r and r["name"] != w["name"] and not any(alias.rpartition(".")[2] == w["name"] for alias in r["aliases"]):
        yield f"{{errorType:'NAME_MISMATCH', description:'The name of the schema has changed (path '{path}/name')', additionalInfo:'expected: {w['name']}'}}"
        return
    if r["type"] in ("array", "map"):
        yield from _problems(reader, writer, r["inner"], w["inner"], f"{path}/{'items' if r['type'] == 'array' else 'values'}", seen)
    elif r["type"] == "fixed" and r["size"] != w["size"]:
        yield f"{{errorType:'FIXED_SIZE_MISMATCH', description:'The size of FIXED type field at path '{path}/size' does not match', additionalInfo:'{w['size']}'}}"
    elif r["type"] == "enum":
        missing = [symbol for symbol in w["symbols"] if symbol not in r["symbols"]]
        if missing and r["default"] is None:
            yield f"{{errorType:'MISSING_ENUM_SYMBOLS', description:'The new schema is missing enum symbols '{missing}' at path '{path}/symbols'', additionalInfo:'{missing}'}}"
    elif r["type"] == "record":
        old = {field["name"]: field for field in w["fields"]}
        for i, field in enumerate(r["fields"]):
            known = next((old[name] for name in [field["name"], *field["aliases"]] if name in old), None)
            if known is not None:
                yield from _problems(reader, writer, field["type"], known["type"], f"{path}/fields/{i}/type", seen)
            elif not field["default"]:
                yield (f"{{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field '{field['name']}' at path '{path}/fields/{i}' in "
                       f"the new schema has no default value and is missing in the old schema', additionalInfo:'{field['name']}'}}")
