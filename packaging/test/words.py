#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What programs say in --help, and whether pages and completions say the same.

  words.py page TOOL PAGE BIN        options of a manual page against --help
  words.py completions SHELL BIN     candidates of a shell's completion against --help
                                     (SHELL: bash, zsh, fish; the staged tree is /stage's
                                     argument STAGE in the environment)
  words.py dashboard FILE METRICS    metrics and labels a dashboard (or rules file) names
  words.py samples METRICS           METRICS with a sample for each family that has none
  words.py rules DASHBOARD           the dashboard's expressions as a rules file
Prints what is wrong, and nothing if all is right.
"""
import json
import os
import re
import subprocess
import sys

# What one completes: the words of a command.
COMMANDS = [
    ["nmq"], ["nmq", "port", "show"], ["nmq", "queue", "show"], ["nmq", "queue", "add"],
    ["nmq", "queue", "del"], ["nmq", "metrics"],
    ["nm_offload"], ["nm_count"], ["nm_bridge"], ["nm_pktgen"], ["nm_pktgen", "tx"], ["nm_pktgen", "rx"],
]
LABELS = {"interface", "ring", "queue", "state", "program", "uid", "mem_id", "version", "instance", "file"}


def help_of(bin_, words):
    """The options of a command, long and short, and its commands."""
    text = subprocess.run([f"{bin_}/{words[0]}", *words[1:], "--help"], capture_output=True, text=True, check=True).stdout
    section, options, commands = "", set(), set()
    for line in text.splitlines():
        if re.match(r"[A-Z]", line):
            section = line.split(":")[0]
        elif section == "Options":
            m = re.match(r" {2,6}(?:(-\w), )?(--[a-z-]+)", line)
            if m:
                options |= {g for g in m.groups() if g}
        elif section == "Commands":
            m = re.match(r"  ([a-z]+) ", line)
            if m:
                commands.add(m[1])
                m = re.search(r"\[alias(?:es)?: ([a-z, ]+)\]", line)
                commands |= set(m[1].split(", ")) if m else set()
    return options, commands


def all_of(bin_, tool):
    options, commands, todo = set(), set(), [[tool]]
    while todo:
        words = todo.pop()
        o, c = help_of(bin_, words)
        options |= o
        commands |= c
        todo += [words + [w] for w in c if w != "help"]
    return options, commands


def differ(what, there, said):
    bad = 0
    for name in sorted(said - there):
        print(f"{what}: {name} is in --help only")
        bad = 1
    for name in sorted(there - said):
        print(f"{what}: {name} is not in --help")
        bad = 1
    return bad


def page(tool, path, bin_):
    text = open(path).read()
    options = set()
    for line in re.findall(r"^\.It (Fl .*)$", text, re.M):
        # `.It Fl s , -stats`: Fl puts a hyphen before each word that is an option
        for part in re.split(r"\bAr\b[^,]*|\bNs\b.*", line):
            for word in part.replace("Fl", " ").replace(",", " ").split():
                options.add("-" + word)
    said, commands = all_of(bin_, tool)
    bad = differ(path, options, said)
    for c in sorted(commands):
        if not re.search(rf"\bCm\b.*\b{c}\b", text):
            print(f"{path}: the command {c} is missing")
            bad = 1
    return bad


def offered(shell, words, stage):
    """What a shell offers after WORDS for a word that begins with a hyphen."""
    if shell == "bash":
        script = r'''
            . /usr/share/bash-completion/bash_completion
            . "$STAGE/usr/share/bash-completion/completions/$1"
            COMP_WORDS=("$@" -) COMP_CWORD=$# COMP_LINE="$* -" COMP_POINT=$((${#COMP_LINE}))
            spec=$(complete -p "$1"); f=${spec##*-F }; f=${f%% *}
            $f "$1" - "${!#}"; printf '%s\n' "${COMPREPLY[@]}"'''
        run = ["bash", "--norc", "-c", script, "bash", *words]
    elif shell == "fish":
        script = 'set -p fish_complete_path $STAGE/usr/share/fish/vendor_completions.d; complete -C "$argv -"; complete -C "$argv --"'
        run = ["fish", "--no-config", "-c", script, *words]
    else:
        # the function itself, with stand-ins for what the completion system does
        script = r'''
            words=("$@" -); CURRENT=$#words; service=$1; typeset state=
            file=$STAGE/usr/share/zsh/vendor-completions/_$1
            [[ -e $file ]] || file=${file:h}/_nm_count
            level=0
            _arguments() {
                if (( $#words > 2 && ! level )) && [[ " $* " == *"->"* ]]; then
                    level=1
                    [[ " $* " == *"->noun"* ]] && state=noun || state=verb
                    shift words
                else
                    print -l -- "$@"
                fi
            }
            compadd() { }
            . $file'''
        run = ["zsh", "-f", "-c", script, "zsh", *words]
    env = dict(os.environ, STAGE=stage, PATH=f"{stage}/usr/bin:{os.environ['PATH']}", HOME=os.path.dirname(stage))
    done = subprocess.run(run, capture_output=True, text=True, env=env, check=False)
    found = set()
    for line in done.stdout.splitlines():
        # zsh: (-j --json)--json[print JSON]; others: --json, with a tab and a description behind
        end = r"(?:=-?)?\[.*" if shell == "zsh" else r"(?:[=\t].*)?$"
        m = re.match(r"(?:\([^)]*\))?\*?(--?[a-zA-Z][a-z-]*?)" + end, line)
        if m:
            found.add(m[1].rstrip("="))
    if done.stderr.strip():
        print(f"{shell}: {' '.join(words)}: {done.stderr.strip()}")
    return found


def completions(shell, bin_):
    stage, bad = os.environ["STAGE"], 0
    for words in COMMANDS:
        said, _ = help_of(bin_, words)
        bad |= differ(f"{shell}: {' '.join(words)}", offered(shell, words, stage), said)
    return bad


def families(path):
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", open(path).read(), re.M))


def expressions(path):
    text = open(path).read()
    if path.endswith(".json"):
        d = json.loads(text)
        ids = [p["id"] for p in d["panels"]]
        assert len(ids) == len(set(ids)), "panels share an id"
        variables = [v["definition"] for v in d["templating"]["list"] if "definition" in v]
        return [t["expr"] for p in d["panels"] for t in p["targets"]], variables
    return re.findall(r"^ +expr: (.*)$", text, re.M), []


def dashboard(path, metrics):
    known, bad = families(metrics), 0
    exprs, variables = expressions(path)
    used = set()
    for expr in exprs + variables:
        names = set(re.findall(r"\bnetmap_\w+", expr))
        used |= names
        for name in sorted(names - set(known)):
            print(f"{path}: {name} does not exist, in: {expr}")
            bad = 1
        for labels in re.findall(r"\{([^}]*)\}", expr):
            for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", labels):
                if label not in LABELS:
                    print(f"{path}: there is no label {label}, in: {expr}")
                    bad = 1
        for name in names:
            if known.get(name) == "counter" and not re.search(rf"(rate|increase)\({name}\b", expr):
                print(f"{path}: the counter {name} without rate() or increase(), in: {expr}")
                bad = 1
    if not used:
        print(f"{path}: names no metric")
        bad = 1
    return bad


def samples(path):
    text = open(path).read()
    for line in text.splitlines():
        print(line)
        m = re.match(r"# TYPE (\S+)", line)
        if m and not re.search(rf"^{m[1]}[ {{]", text, re.M):
            print(m[1] + '{interface="eth3",ring="rx",queue="4"} 1')
    return 0


def rules(path):
    print("groups:\n- name: dashboard\n  rules:")
    for n, expr in enumerate(expressions(path)[0]):
        expr = expr.replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$interface", ".*")
        print(f"  - record: dashboard:{n}\n    expr: {json.dumps(expr)}")
    return 0


if __name__ == "__main__":
    sys.exit({"page": page, "completions": completions, "dashboard": dashboard, "samples": samples, "rules": rules}[sys.argv[1]](*sys.argv[2:]))
