"""The SQL that turns records into typed rows, written from a contract. Pure functions of text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dagster_project.landing.contracts import ColumnContract, TableContract
from dagster_project.landing.tokens import normalised

#: More unnamed fields than this in one object is a map of data, not a drifting schema.
MAX_NEW_FIELDS = 200
#: Nothing in an export happened before this.
EARLIEST_EVENT = "2000-01-01"
#: Before this an instant stands for none: the first second of Unix, the day zero of a spreadsheet, the year 1.
EARLIEST_INSTANT = "1970-01-02"
#: Formats of times that are numbers since 1970: how many microseconds one of them counts.
EPOCH_UNITS = {"epoch": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
#: How BigQuery writes a list of keys and values; of the kinds of value one is given.
VALUE_KINDS = ("string_value", "int_value", "double_value", "float_value")

Path = tuple[str, ...]


def quoted(name: str) -> str:
    """Quote a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def json_path(path: Path) -> str:
    """Return the DuckDB JSON path of keys, such as `$."context"."page"`."""
    return "$" + "".join('."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"' for key in path)


@dataclass
class _Node:
    """A key of the JSON that a contract reads: its children, or whether it is read itself."""

    children: dict[str, _Node] = field(default_factory=dict)
    is_read: bool = False
    is_ignored: bool = False

    def at(self, path: Path) -> _Node:
        node = self
        for key in path:
            node = node.children.setdefault(key, _Node())
        return node


@dataclass(frozen=True)
class JsonShape:
    """Which paths of a JSON record a contract reads, ignores, and looks into for new fields."""

    root: _Node
    objects: tuple[Path, ...]

    @classmethod
    def of(cls, contract: TableContract) -> JsonShape:
        """Work the shape out from the contract's columns and ignored fields."""
        root = _Node()
        for column in contract.columns:
            root.at(tuple(column.path.split("."))).is_read = True
        for ignored in contract.ignore:
            root.at(tuple(ignored.split("."))).is_ignored = True
        objects: list[Path] = []

        def walk(node: _Node, path: Path) -> None:
            if node.children and not node.is_read and not node.is_ignored:
                objects.append(path)
                for key, child in node.children.items():
                    walk(child, (*path, key))

        walk(root, ())
        return cls(root=root, objects=tuple(objects))

    def new_fields(self, keys: Mapping[Path, Iterable[str]]) -> list[Path]:
        """Paths of the fields that the contract does not know, from the keys each object was seen to have."""
        found: list[Path] = []
        for path, seen in keys.items():
            known = self.root.at(path).children
            new = sorted(key for key in seen if key not in known)
            found += [path] if len(new) > MAX_NEW_FIELDS else [(*path, key) for key in new]
        return sorted(p for p in found if not any(p[:n] in found for n in range(len(p))))


def json_paired(contract: TableContract, *, records: str) -> str:
    """SQL for JSON records whose lists of keys and values (`pairs`) have become objects of the same name.

    A field that is no list, or has an entry without a key, stays as it is: `json_fields` finds it at fault.
    """
    entry = {"key": "VARCHAR", "value": dict.fromkeys(VALUE_KINDS, "VARCHAR")}
    structure = literal(json.dumps({name: [entry] for name in contract.pairs}))
    value = f"coalesce({', '.join(f'pair.value.{kind}' for kind in VALUE_KINDS)})"
    objects = []
    for name in contract.pairs:
        pairs = f"_lists.{quoted(name)}"
        members = f"list_transform({pairs}, lambda pair: to_json(pair.key) || ':' || to_json({value}))"
        objects.append(
            f"case when len(list_filter({pairs}, lambda pair: pair.key is null)) = 0 "
            f"then {literal(json.dumps(name) + ':{')} || array_to_string({members}, ',') || '}}' end"
        )
    return f"""
        select _file, _row,
            case when _objects = '' then record else json_merge_patch(record, '{{' || _objects || '}}')::varchar end
                as record
        from (
            select _file, _row, record, concat_ws(',', {", ".join(objects)}) as _objects
            from (select *, try(json_transform(record, {structure})) as _lists from {records})
        )"""


def json_shapes(shape: JsonShape, *, records: str) -> str:
    """SQL for the distinct lists of keys that the objects of a shape have, null for what is no JSON."""
    paths = ", ".join(literal(json_path(p)) for p in shape.objects)
    return f"""
        select first(keys) as keys
        from (select try(json_keys(record, [{paths}])) as keys from {records})
        group by hash(keys)"""


def json_by_side(contract: TableContract, *, records: str) -> str:
    """SQL for JSON records whose lists of turns (`turns`) have become objects: side, field, list of its values.

    A field that is no list of objects, or has a turn of nobody, stays as it is: `json_fields` finds it at fault.
    """
    objects, joins = [], []
    for position, (name, side) in enumerate(contract.turns.items()):
        field = f"json_extract(valid, {literal(json_path((name,)))})"
        side_of = f"json_extract_string(turn, {literal(json_path((side,)))})"
        faults = f"list_filter(json_extract({field}, '$[*]'), lambda turn: {side_of} is null)"
        objects.append(
            f"case when json_type({field}) = 'ARRAY' and len({faults}) = 0 "
            f"then {literal(json.dumps(name) + ':{')} || coalesce(sides{position}.sides, '') || '}}' "
            # One object must not pass for what its list would have become.
            f"when json_type({field}) = 'OBJECT' then {literal(json.dumps(name) + ':[]')} end"
        )
        # Grouped rows, for lambdas within lambdas take twenty times as long. The path is of JSON Pointer, which need
        # not be constant: `~` and `/` are escaped.
        joins.append(f"""
            left join (
                select _file, _row, string_agg(to_json(side) || ':{{' || fields || '}}', ',' order by side) as sides
                from (
                    select _file, _row, side,
                        string_agg(to_json(key) || ':[' || given || ']', ',' order by key) as fields
                    from (
                        select _file, _row, side, key, string_agg(
                            json_extract(turn, '/' || replace(replace(key, '~', '~0'), '/', '~1'))::varchar,
                            ',' order by nth
                        ) as given
                        from (
                            select _file, _row, nth, turn, {side_of} as side, unnest(json_keys(turn)) as key
                            from (
                                select _file, _row, unnest(listed) as turn, generate_subscripts(listed, 1) as nth
                                from (select _file, _row, json_extract({field}, '$[*]') as listed from valid_records)
                            )
                        )
                        group by _file, _row, side, key
                    )
                    group by _file, _row, side
                )
                group by _file, _row
            ) as sides{position}
                on sides{position}._file = valid_records._file and sides{position}._row = valid_records._row""")
    return f"""
        with valid_records as (select *, case when json_valid(record) then record end as valid from {records})
        select valid_records._file, valid_records._row,
            case when json_type(valid) <> 'OBJECT' or valid is null then record
                else json_merge_patch(valid, '{{' || concat_ws(',', {", ".join(objects)}) || '}}')::varchar
            end as record
        from valid_records {"".join(joins)}"""


@dataclass(frozen=True, kw_only=True)
class SeenShapes:
    """What a look at the keys of some JSON records has found.

    Attributes
    ----------
    new_fields : list of tuple of str
        Paths that the contract does not know.
    has_odd : bool
        Whether some record is no JSON object with fields.
    odd_objects : list of tuple of str
        Paths of objects that are empty somewhere, or no objects.
    """

    new_fields: list[Path]
    has_odd: bool
    odd_objects: list[Path]

    @classmethod
    def of(cls, shape: JsonShape, keys: Iterable[list[list[str] | None] | None]) -> SeenShapes:
        """Work out what was found from the result of `json_shapes`."""
        seen: dict[Path, set[str]] = {path: set() for path in shape.objects}
        odd: set[Path] = set()
        has_odd = False
        for lists in keys:
            has_odd = has_odd or not lists or not lists[0]
            for path, names in zip(shape.objects, lists or [], strict=False):
                seen[path].update(names or [])
                if path and names is not None and not names:
                    odd.add(path)
        return cls(new_fields=shape.new_fields(seen), has_odd=has_odd, odd_objects=sorted(odd))


def json_fields(
    contract: TableContract, shape: JsonShape, seen: SeenShapes, *, records: str, looks_for_nul: bool = True
) -> str:
    """SQL for the `fields` of JSON records: one text per column, read in one pass.

    `records` has `_file, _row, record`. The result has `_file, _row, _content, _fault`, `f0, f1, …`
    and `_extra`, the JSON of the fields that the contract does not know.
    """
    structure, accessors = _transform(shape.root, seen.new_fields)
    columns = []
    for position, column in enumerate(contract.columns):
        path = tuple(column.path.split("."))
        columns.append(f"{taken(contract, column, _json_value(path, column, accessors))} as f{position}")
    return f"""
        select
            _file, _row,
            content_key(record) as _content,
            {_fault(contract, seen, accessors, looks_for_nul=looks_for_nul)} as _fault,
            {", ".join(columns)},
            {_extra(seen.new_fields, accessors)} as _extra,
        from (
            select _file, _row, record, try(json_transform(record, {literal(structure)})) as _read
            from {records}
        )"""


def _fault(contract: TableContract, seen: SeenShapes, accessors: Mapping[Path, str], *, looks_for_nul: bool) -> str:
    """SQL for why a JSON record as a whole cannot land; clean records cost nothing."""
    cases = []
    if seen.has_odd:
        cases += [
            "when not json_valid(record) then 'the row is not valid JSON'",
            "when json_type(record) <> 'OBJECT' or json_keys(record) = [] then 'the row is no JSON object with fields'",
        ]
    if looks_for_nul:
        cases.append("when contains(record, '\\u0000') then 'the row contains a NUL character'")
    for path in seen.odd_objects:
        wanted = "an object"
        if len(path) == 1 and path[0] in contract.turns:
            wanted = f"a list of objects with '{contract.turns[path[0]]}'"
        told = literal(f"{'.'.join(path)}: the contract reads {wanted} here, the row has something else")
        kind = f"json_type(record, {literal(json_path(path))})"
        cases.append(f"when {kind} not in ('OBJECT', 'NULL') then {told}")
    cases += _objects_for_texts(contract, accessors)
    return f"case {' '.join(cases)} end" if cases else "null::varchar"


def _objects_for_texts(contract: TableContract, accessors: Mapping[Path, str]) -> list[str]:
    """SQL for the fault of a text that is an object, or an identifier or message that is a list.

    Text may begin like one too; only then is the record looked at again. Comparing is cheap where `starts_with` is not.
    """
    may_be, cases = [], []
    for column in contract.columns:
        path = tuple(column.path.split("."))
        if column.data_type != "varchar" or path[0] in contract.turns or path not in accessors:
            continue
        value, kinds = accessors[path], "'OBJECT'"
        may_be.append(f"{value} >= '{{'")
        if column.identifier or column.text:
            may_be.append(f"({value} < '\\' and {value} >= '[')")
            kinds = "'OBJECT', 'ARRAY'"
        told = literal(f"{column.name}: '{column.path}' is an object or a list where the contract reads a text")
        cases.append(f"when json_type(record, {literal(json_path(path))}) in ({kinds}) then {told}")
    return [f"when {' or '.join(may_be)} then case {' '.join(cases)} end"] if cases else []


def taken(contract: TableContract, column: ColumnContract, value: str) -> str:
    """SQL for what a column takes of the value at its path: of turns all or the first, of a transcript one voice."""
    if column.path.split(".")[0] in contract.turns:
        given = f"list_filter(try(json_extract_string({value}, '$[*]')), lambda item: item is not null)"
        value = f"array_to_string({given}, chr(10))" if column.text else f"{given}[1]"
    if column.speaker:
        value = f"said_by({value}, {literal(column.speaker)})"
    return value


def _transform(root: _Node, new_fields: Iterable[Path]) -> tuple[str, dict[Path, str]]:
    """Return the structure for `json_transform`, and how to reach each path in its result.

    A path read within one that is itself read, or one that differs from another only by case
    (which a struct cannot tell apart), has no accessor.
    """
    accessors: dict[Path, str] = {}
    wanted = {path: True for path in new_fields if path}

    def build(node: _Node, path: Path, accessor: str) -> object:
        if node.is_read:
            accessors[path] = accessor
            return "JSON" if node.children else "VARCHAR"
        result: dict[str, object] = {}
        folded: set[str] = set()
        for key, child in node.children.items():
            if child.is_ignored or key.lower() in folded or not _has_read(child):
                continue
            folded.add(key.lower())
            result[key] = build(child, (*path, key), f"{accessor}.{quoted(key)}")
        for new in wanted:
            if new[:-1] == path and new[-1].lower() not in folded:
                folded.add(new[-1].lower())
                result[new[-1]] = "JSON"
                accessors[new] = f"{accessor}.{quoted(new[-1])}"
        return result

    return json.dumps(build(root, (), "_read")), accessors


def _has_read(node: _Node) -> bool:
    return node.is_read or any(_has_read(child) for child in node.children.values())


def _json_value(path: Path, column: ColumnContract, accessors: Mapping[Path, str]) -> str:
    if path in accessors:
        return f"{accessors[path]}::varchar" if column.data_type == "json" else accessors[path]
    for length in range(len(path) - 1, 0, -1):
        if path[:length] in accessors:
            return f"json_extract_string({accessors[path[:length]]}, {literal(json_path(path[length:]))})"
    return f"try(json_extract_string(record, {literal(json_path(path))}))"


def _extra(new_fields: Iterable[Path], accessors: Mapping[Path, str]) -> str:
    """SQL for the JSON of the new fields, null where a row has none of them.

    The values are JSON already; joining them as text costs a fifth of building objects.
    """
    tree: dict[str, object] = {}
    for path in new_fields:
        if not path:
            return "record"
        node = tree
        for key in path[:-1]:
            node = node.setdefault(key, {})  # type: ignore[assignment]
        node[path[-1]] = accessors.get(path, f"try(json_extract(record, {literal(json_path(path))}))")

    def build(node: dict[str, object]) -> tuple[str, list[str]]:
        parts, leaves = [], []
        for key, value in node.items():
            inner, below = build(value) if isinstance(value, dict) else (f"{value}::varchar", [f"{value} is not null"])
            parts.append(f"case when {' or '.join(below)} then {literal(json.dumps(key) + ':')} || {inner} end")
            leaves += below
        return f"'{{' || concat_ws(',', {', '.join(parts)}) || '}}'", leaves

    if not tree:
        return "null::varchar"
    text, leaves = build(tree)
    return f"case when {' or '.join(leaves)} then {text} end"


def csv_fields(contract: TableContract, header: list[str], *, fields: str) -> str:
    """SQL for the `fields` of CSV records, whose columns are `c0, c1, …` in the order of the header."""
    position = {name: i for i, name in enumerate(header)}
    columns = [
        f"{taken(contract, c, 'c' + str(position[c.path]))} as f{i}" if c.path in position else f"null::varchar as f{i}"
        for i, c in enumerate(contract.columns)
    ]
    # By name and without blanks, so that neither the order of the columns nor a new empty one matters.
    content = ", ".join(
        f"case when present(c{position[name]}) is not null then {literal(name + '=')} || c{position[name]} end"
        for name in sorted(header)
    )
    content = f"concat_ws(chr(31), {content})"
    new = new_headers(contract, header)
    extra = "null::varchar"
    if new:
        pairs = ", ".join(f"{literal(name)}, present(c{position[name]})" for name in new)
        extra = f"nullif(json_merge_patch('{{}}', json_object({pairs}))::varchar, '{{}}')"
    return f"""
        select _file, _row, content_key({content}) as _content, null::varchar as _fault,
            {", ".join(columns)}, {extra} as _extra
        from {fields}"""


def new_headers(contract: TableContract, header: Iterable[str]) -> list[str]:
    """Header fields that the contract neither names nor ignores."""
    known = {c.path for c in contract.columns} | set(contract.ignore)
    return [name for name in header if name not in known]


# --- values -------------------------------------------------------------------------------------

_WANTED = {
    "bigint": "a whole number",
    "double": "a number",
    "boolean": "true or false",
    "date": "a date",
    "timestamp": "a date or time",
    "json": "valid JSON",
    "decimal": "a number that fits",
}


def converted(column: ColumnContract, value: str, *, timezone: str) -> str:
    """SQL that casts a text to the column's type, null where it does not fit."""
    given = f"given({value})"
    kind = column.data_type
    if kind == "varchar":
        return f"present({value})"
    if kind == "json":
        return f"case when json_valid(present({value})) then present({value})::json end"
    if kind == "bigint":
        # try_cast alone would round 1.5 to 2.
        whole = f"try_cast({given} as bigint)"
        return f"case when try_cast({given} as double) = {whole} then {whole} end"
    if kind == "double":
        number = f"try_cast({given} as double)"
        return f"case when isfinite({number}) then {number} end"
    if kind == "timestamp":
        return _instant(column, given, timezone=timezone)
    if kind == "date":
        if column.formats:
            return f"coalesce({', '.join(f'try_strptime({given}, {literal(f)})' for f in column.formats)})::date"
        return f"nullif(nullif(try_cast({given} as date), date 'infinity'), date '-infinity')"
    return f"try_cast({given} as {kind})"


def _instant(column: ColumnContract, given: str, *, timezone: str) -> str:
    """UTC instant: times with an offset are converted, those without are local to the source."""

    def to_utc(naive: str) -> str:
        return naive if timezone == "UTC" else f"timezone({literal(timezone)}, {naive})::timestamp"

    ways = []
    for text in column.formats:
        if text in EPOCH_UNITS:
            microseconds = f"try_cast({given} as double) * {EPOCH_UNITS[text]}"
            ways.append(f"make_timestamp(try_cast({microseconds} as bigint))")
        elif "%z" in text:
            ways.append(f"try_strptime({given}, {literal(text)})::timestamp")
        else:
            ways.append(to_utc(f"try_strptime({given}, {literal(text)})"))
    if not ways:
        aware = f"try_cast({given} as timestamptz)::timestamp"
        if timezone != "UTC":
            has_offset = f"regexp_matches({given}, ':[0-9]{{2}}.*(Z|z|[+-][0-9]{{2}}(:?[0-9]{{2}})?| [A-Z]+)$')"
            aware = f"case when {has_offset} then {aware} else {to_utc(f'try_cast({given} as timestamp)')} end"
        ways = [aware]
    instant = f"coalesce({', '.join(ways)})"
    # Not `isfinite`: it would have the instant worked out twice.
    return f"nullif(nullif({instant}, timestamp 'infinity'), timestamp '-infinity')"


def misfit(column: ColumnContract, value: str, converted_name: str) -> list[str]:
    """SQL for the reason when a given value does not fit its type; nothing for a type that takes any."""
    if column.time_zone:
        is_unknown = f"present({value}) not in (select name from pg_timezone_names())"
        told = f"{literal(column.name + ': ')} || '''' || scrubbed(left({value}, 60)) || ''' is no IANA time zone'"
        return [f"case when {is_unknown} then {told} end"]
    if column.data_type == "varchar":
        return []
    wanted = _WANTED[column.data_type.split("(")[0]]
    if column.formats:
        wanted += f" written as {' or '.join(column.formats)}"
    shown = "'a value'" if column.personal else f"'''' || scrubbed(left({value}, 60)) || ''''"
    present = "present" if column.data_type == "json" else "given"
    return [
        f"case when {converted_name} is null and {present}({value}) is not null "
        f"then {literal(column.name + ': ')} || {shown} || {literal(' is not ' + wanted)} end"
    ]


def missing(column: ColumnContract, value: str) -> str:
    """SQL for the reason when a required column has no value, or a word that stands for none, such as NaN."""
    blank = literal(f"{column.name}: '{column.path}' is required but missing or blank")
    cases = [f"when present({value}) is null then {blank}"]
    if column.identifier or column.data_type not in ("varchar", "json"):
        before = literal(f"{column.name}: '")
        after = literal(f"' stands for no value, and '{column.path}' is required")
        cases.append(f"when given({value}) is null then {before} || trim({value}) || {after}")
    return f"case {' '.join(cases)} end"


def impossible_instant(column: ColumnContract) -> str:
    """SQL for the reason when an instant is what programs write for none: 1970 and before, as spreadsheets' 1899."""
    name = quoted(column.name)
    told = f"{literal(column.name + ': ')} || strftime({name}, '%Y-%m-%d %H:%M')"
    why = literal(" is no time at which anything can have happened; leave it blank where it is not known")
    return f"case when {name} < timestamp '{EARLIEST_INSTANT}' then {told} || {why} end"


def typed_rows(contract: TableContract, *, fields: str) -> str:
    """SQL for the typed rows, from SQL for `fields` (see `json_fields`, `csv_fields`) and the table `files`.

    Columns: `_file, _row, _content, _extra`; every raw column under its name, identifiers still
    normalised values instead of tokens; `_vault_<name>` for readable values; `_text_<name>` for scrubbed
    texts; `_occurred_at, available_at`; `_gone`, the first required column without a value; and
    `_reason`, null for a row that can land.
    """
    values, reasons, gone = [], ["null"], []
    for position, column in enumerate(contract.columns):
        value, name = f"f{position}", quoted(column.name)
        if column.identifier:
            values.append(f"{identifying(column, value)} as {name}")
        elif column.text:
            values.append(f"scrubbed(present({value})) as {quoted('_text_' + column.name)}")
        elif not column.personal:
            values.append(f"{readable(contract, column, value)} as {name}")
            reasons += misfit(column, value, name)
            # The times of the event itself are judged together: one of them puts right what another says.
            own_times = (contract.occurred, contract.sent, contract.received)
            if column.data_type == "timestamp" and column.name not in own_times:
                reasons.append(impossible_instant(column))
        if column.vault_type:
            name = quoted("_vault_" + column.name)
            values.append(f"{converted(column, value, timezone=contract.timezone)} as {name}")
            reasons += misfit(column, value, name)
        if column.required:
            gone.append(f"when present({value}) is null then {literal(column.name)}")
            reasons.append(missing(column, value))
    timed, time_reasons = _times(contract)
    hidden = ["_fault", "_missing", "path_available", *(f"f{i}" for i in range(len(contract.columns)))]
    return f"""
        with valued as (
            select fields.*, _missing, path_available, {", ".join(values)}
            from ({fields}) as fields
            join files on files._file = fields._file
        ),
        timed as (select *, {timed} from valued)
        select * exclude ({", ".join(hidden)}),
            {f"case when _fault is null then case {' '.join(gone)} end end" if gone else "null::varchar"} as _gone,
            case when _missing is not null then _missing when _fault is not null then _fault
                else coalesce(scrubbed(nullif(concat_ws('; ', {", ".join(reasons)}), '')), {time_reasons})
            end as _reason
        from timed"""


def identifying(column: ColumnContract, value: str) -> str:
    """SQL for the normalised value that a column's token is made of."""
    if column.first_of:
        mark = literal(column.first_of)
        value = f"split_part(ltrim({value}, {mark} || ' '), {mark}, 1)"
    return normalised(column.identifier or "", f"given({value})")


def readable(contract: TableContract, column: ColumnContract, value: str) -> str:
    """SQL for a value that everybody may read: URLs without their secrets, other texts without e-mails."""
    if column.url:
        return f"stripped_url({value})"
    if column.data_type == "varchar" and column.name not in contract.key:  # two keys must not become one
        return f"without_emails({value})"
    cast = converted(column, value, timezone=contract.timezone)
    return f"without_emails({cast}::varchar)::json" if column.data_type == "json" else cast


def _times(contract: TableContract) -> tuple[str, str]:
    """SQL for `_occurred_at` and `available_at`, and for why a row's times cannot be."""

    def column(name: str | None) -> str:
        return f"{quoted(name)}::timestamp" if name else "null::timestamp"

    occurred, sent, received = column(contract.occurred), column(contract.sent), column(contract.received)
    corrected = occurred
    if contract.sent and contract.received:
        corrected = f"coalesce({received} - ({sent} - {occurred}), {occurred})"
    ways = []
    for kind, given in contract.available:
        if kind == "received":
            ways.append(column(given))
        elif kind == "path_date":
            ways.append(f"case when path_available is not null then greatest(path_available, {received}) end")
        elif kind == "delay_hours":
            ways.append(f"_occurred_at + to_microseconds({round(given * 3_600_000_000)})")
        else:
            ways.append(f"greatest(timestamp {literal(given)}, {received})")
    timed = f"{corrected} as _occurred_at, coalesce({', '.join(ways)}) as available_at"
    name = contract.occurred or "time"
    told = "strftime(_occurred_at, '%Y-%m-%d %H:%M')"
    now = "getvariable('landing_now')::timestamp"
    unknown = literal("it cannot be told when the row became known: " + _ways(contract))
    reasons = f"""case
                when available_at is null then {unknown}
                when _occurred_at < timestamp '{EARLIEST_EVENT}'
                    then '{name}: ' || {told} || ' is before the year 2000'
                when available_at < timestamp '{EARLIEST_EVENT}'
                    then 'the row says it became known on ' || strftime(available_at, '%Y-%m-%d')
                        || ', before the year 2000'
                when _occurred_at > least(available_at, {now}) + interval 1 day
                    then '{name}: ' || {told} || ' is more than a day after it can have been known'
                when available_at > {now} + interval 2 day
                    then 'the row says it became known on ' || strftime(available_at, '%Y-%m-%d') || ', in the future'
            end"""
    return timed, reasons


def _ways(contract: TableContract) -> str:
    told = {
        "received": "{} is blank",
        "path_date": "the path has no date",
        "delay_hours": f"{contract.occurred} is blank",
        "since": "",
    }
    return " and ".join(told[kind].format(given) for kind, given in contract.available)
