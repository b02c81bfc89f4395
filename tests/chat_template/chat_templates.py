"""Chat templates of many shapes, written for these tests after those of real models."""

from __future__ import annotations

from pathlib import Path

# One trait each.
TRAITS = {
    "generation tag": (
        "{% for m in messages %}{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}"
        "{% endgeneration %}{% else %}<{{ m['role'] }}>{{ m['content'] }}{% endif %}{% endfor %}"
    ),
    "generation tag with trims": "{%- generation -%}  a  {%- endgeneration -%} b",
    "tools": "{% if tools is not none %}TOOLS:{{ tools | tojson }}{% endif %}{{ messages[0]['content'] }}",
    "tools undefined": "{% if tools is defined %}defined{% endif %}{% if not tools %}none{% endif %}",
    "documents": "{% if documents is none %}{{ messages[0]['content'] }}{% else %}DOCS {{ documents }}{% endif %}",
    "tojson ascii": "{{ messages | tojson(ensure_ascii=True) }}",
    "tojson separators": "{{ messages | tojson(separators=(',', ':')) }}",
    "tojson indent": "{{ messages | tojson(indent=2) }}",
    "tojson sorted": "{{ messages | tojson(sort_keys=true) }}",
    "tojson of nothing": "{{ nothing | tojson }}",
    "special tokens": "{{ pad_token }}{{ unk_token }}{{ bos_token }}{{ messages[0]['content'] }}{{ eos_token }}",
    "token that is not there": "{% if mask_token is defined %}M{% endif %}[{{ mask_token }}]",
    "raises": "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system') }}{% endif %}x",
    "parts": (
        "{% for m in messages %}{% if m['content'] is string %}{{ m['content'] }}{% else %}"
        "{% for c in m['content'] %}{{ c['text'] }}{% endfor %}{% endif %}{% endfor %}"
    ),
    "type error": "{{ messages[0]['content'] + 1 }}",
    "division by zero": "{{ 1 / 0 }}",
    "missing message": "{{ messages[50]['content'].strip() }}",
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "too long a range": "{% for i in range(10000000) %}x{% endfor %}",
    "year": "{{ strftime_now('%Y') }}",
    "break": "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}{{ m['content'] }}{% endfor %}",
    "continue": "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m['role'] }}{% endfor %}",
    "string methods": (
        "{{ messages[0]['content'].replace('H', 'h').rstrip().split('/')[-1] }}{{ messages | length }}"
        "{{ messages[-1].content.startswith('H') }}{{ messages[0].content[:3] | upper }}"
    ),
    "syntax error": "{% if %}",
    "unknown filter": "{{ messages | nosuch }}",
    "unknown tag": "{% nosuch %}",
    "thinking unless told": (
        "{% if enable_thinking is defined and enable_thinking is false %}NO{% else %}THINK{% endif %}"
    ),
    "namespace": (
        "{% set ns = namespace(found=false) %}{% for m in messages %}{% if m.role == 'user' %}"
        "{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.found }}{{ messages[0]['content'] | trim }}"
    ),
    "namespace with underscore": "{% set ns = namespace(_a=1) %}{{ ns._a }}",
    "namespace set with underscore": "{% set ns = namespace() %}{% set ns.__class__ = 1 %}x",
    "dict": "{% set d = dict(a=1) %}{{ d | tojson }}{{ dict.fromkeys(['a'], 2) }}",
    "dict's insides": "{{ dict.mro() }}",
    "append": "{{ messages.append(1) }}",
    "update": "{% set _ = messages[0].update({'role': 'x'}) %}{{ messages[0] }}",
    "escape from the sandbox": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "format": "{{ '%s and %d' | format('a', 3) }}{{ '{}'.format(1) }}",
    "blocks and blanks": "  {% if true %}\n  a\n  {% endif %}\n{%- set x = 1 -%}\n b {{ x }}\n",
    "comment": "{# a comment\n over lines #}\nx{{ '' }}\n",
    "reasoning": "{% for m in messages %}{{ m.reasoning_content }}|{{ m.thinking }}|{{ m.reasoning }}{% endfor %}",
    "content is none": "{% for m in messages %}{{ 'content' in m }}{{ m.content is none }}{% endfor %}",
    "escapes": "{{ '<a href=\"x\">&amp;' }}{{ messages[0].content | escape }}{{ messages[0].content | e }}",
    "include": "{% include 'other.jinja' %}",
    "selectattr": "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ messages | map(attribute='role') | join(',') }}",
    "slices and reversed": "{{ messages[::-1][0].role }}{{ (messages | last).role }}{{ messages[1:] | length }}",
    "items": "{% for k, v in messages[0].items() %}{{ k }}={{ v }};{% endfor %}",
    "none printed": "{{ none }}{{ true }}{{ 1.0 }}{{ [1, 'a'] }}",
}  # fmt: skip

# After real models': the same constructions, shortened.
SHAPES = {
    file.stem: file.read_bytes().decode() for file in sorted((Path(__file__).parent / "templates").iterdir())
}

TEMPLATES = TRAITS | SHAPES

CONVERSATIONS = {
    "one question": [{"role": "user", "content": 'Hi/é <x> & "q" '}],
    "system": [{"role": "system", "content": "Be brief é"}, {"role": "user", "content": "Hi"}],
    "turns": [
        {"role": "user", "content": "a\n"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nb"},
        {"role": "user", "content": "日本 🙂"},
    ],
    "reasoning": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "reasoning": "r"},
        {"role": "user", "content": "c", "name": None},
    ],
    "tool calls": [
        {"role": "user", "content": "weather?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"type": "function", "function": {"name": "w", "arguments": {"c": "Köln", "n": 1}}}],
        },
        {"role": "tool", "content": "rain"},
    ],
    "parts": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
    "out of turn": [{"role": "assistant", "content": "x"}, {"role": "assistant", "content": "y"}],
    "other role": [{"role": "critic", "content": "x"}],
}  # fmt: skip
