"""Writes a model card in Markdown about a model and its metrics."""
import hashlib
import os
import re
import sys

SECTIONS = (("CARD_INTENDED_USE", "Intended use"), ("CARD_LIMITATIONS", "Limitations"), ("CARD_DATA", "Data"), ("CARD_LICENSE", "License"), ("CARD_CONTACT", "Contact"))
SHOWN = 50  # files that are listed one by one


def metrics_of(text):
    """Reads NAME=VALUE, separated by commas or lines."""
    pairs = []
    for part in re.split(r"[,\n]", text):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise ValueError(f"{part.strip()!r} is not NAME=VALUE")
        pairs.append((name.strip(), value.strip()))
    return pairs


def files_of(path):
    """Path, size and digest of each file of the model, sorted."""
    if os.path.isfile(path):
        return [(os.path.basename(path), os.path.getsize(path), sha256(path))]
    found = []
    for folder, _, names in os.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            found.append((os.path.relpath(file, path), os.path.getsize(file), sha256(file)))
    return sorted(found)


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def size(n):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            return f"{n} B" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024


def cell(text):
    """Keeps a value inside its cell of a table."""
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").split())


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return lines + ["| " + " | ".join(cell(str(c)) for c in row) + " |" for row in rows]


def card(env):
    """The card as text. Values come last in their section, so that none can look like another heading's text."""
    lines = [f"# {cell(env['CARD_NAME'])}", ""]
    if env["CARD_SUMMARY"].strip():
        lines += [env["CARD_SUMMARY"].strip(), ""]
    metrics = metrics_of(env["CARD_METRICS"])
    if metrics:
        lines += ["## Metrics", ""] + table(("metric", "value"), metrics) + [""]
    for variable, title in SECTIONS:
        if env[variable].strip():
            lines += [f"## {title}", "", env[variable].strip(), ""]
    files = files_of(env["AMLFLOW_INPUT_MODEL"])
    whole = hashlib.sha256("".join(f"{digest}  {name}\n" for name, _, digest in files).encode()).hexdigest()
    lines += ["## Files", "", f"{len(files)} files, {size(sum(n for _, n, _ in files))}. SHA-256 of their list of digests: `{whole}`.", ""]
    lines += table(("file", "size", "SHA-256"), [(name, size(n), f"`{digest}`") for name, n, digest in files[:SHOWN]])
    if len(files) > SHOWN:
        lines += ["", f"And {len(files) - SHOWN} more."]
    lines += ["", "## Origin", "", f"Run `{env['CARD_RUN']}` of the pipeline `{env['CARD_PIPELINE']}`.", ""]
    return "\n".join(lines)


def main(env):
    try:
        text = card(env)
    except ValueError as e:
        sys.exit(f"`metrics`: {e}")
    with open(env["AMLFLOW_OUTPUT_CARD"], "w", encoding="utf-8") as f:
        f.write(text)
    print(text)


if __name__ == "__main__":
    main(os.environ)
