"""Writes test/references/chat.json: what transformers' `apply_chat_template` makes of chats.

The templates are written anew, in the structures that public models' have.
"""

from reference import ROOT, write
from transformers import PreTrainedTokenizerFast

LOOP = "{% for message in messages %}"
END = "{% endfor %}"
TEMPLATES = {
    "ChatML": LOOP + "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}" + END
    + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "Llama 2": "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}"
    "{% else %}{% set rest = messages %}{% set system = '' %}{% endif %}{% for message in rest %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}"
    "{% set content = system + message['content'] if loop.index0 == 0 else message['content'] %}"
    "{{ bos_token + '[INST] ' + content | trim + ' [/INST]' }}" + END,
    "Llama 3": LOOP + "{% set content = '<|start|>' + message['role'] + '<|end|>\\n\\n' + message['content'] | trim + '<|eot|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}" + END
    + "{% if add_generation_prompt %}{{ '<|start|>assistant<|end|>\\n\\n' }}{% endif %}",
    "Gemma": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + LOOP
    + "{{ '<start_of_turn>' + message['role'] + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}" + END
    + "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}",
    "Phi": LOOP + "{% if message['role'] == 'system' %}{{ '<|system|>\\n' + message['content'] + '<|end|>\\n' }}"
    "{% elif message['role'] == 'user' %}{{ '<|user|>\\n' + message['content'] + '<|end|>\\n' }}{% endif %}" + END
    + "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}",
    "Mistral": "{%- if messages[0]['role'] == 'system' %}\n  {%- set system = messages[0]['content'] %}\n  {%- set turns = messages[1:] %}\n{%- else %}\n  {%- set turns = messages %}\n{%- endif %}\n"
    "{{- bos_token }}\n{%- for turn in turns %}\n  {%- if loop.last and system is defined %}\n    {{- '[INST] ' + system + '\\n\\n' + turn['content'] + '[/INST]' }}\n  {%- else %}\n    {{- '[INST] ' + turn.content + '[/INST]' }}\n  {%- endif %}\n{%- endfor %}\n",
    "Zephyr": LOOP + "\n{% if message['role'] == 'user' %}\n{{ '<|user|>\\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'system' %}\n{{ '<|system|>\\n' + message['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n" + END,
    "tools": "{%- if tools %}{{- '# Tools\\n' }}{% for tool in tools %}{{- tool | tojson }}{% endfor %}{%- endif %}\n" + LOOP
    + "{%- if message.role == 'tool' or message.tool_calls %}{{- raise_exception('No tools') }}{%- endif %}\n{{- '<' ~ message.role ~ '>' ~ message.content ~ '</' ~ message.role ~ '>\\n' }}" + END,
    "namespaces": "{% set ns = namespace(seen=false, n=0) %}" + LOOP
    + "{% if message.role == 'user' %}{% set ns.seen = true %}{% endif %}{% set ns.n = ns.n + 1 %}{{ ns.n ~ ': ' ~ message.content ~ '\\n' }}" + END
    + "{{ 'seen' if ns.seen else 'none' }}",
    "dates": "{% if strftime_now is defined %}{{ 'Year of ' ~ (strftime_now('%Y') | length) ~ '\\n' }}{% endif %}" + LOOP + "{{ message.content }}|" + END,
    "changes": LOOP + "{{ message.content | upper }}" + END,
    "twice": LOOP + "{{ message.content }}{{ message.content }}" + END,
}
TEXTS = {"plain": "Once upon a time", "blanks": " \n Two lines,\nand 😀 é. \n"}
SYSTEM = "Be brief."


def main():
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(ROOT / "media/models/llama/tokenizer.json"), bos_token="<s>", eos_token="</s>"
    )
    cases = []
    for name, template in TEMPLATES.items():
        for text in TEXTS.values():
            for system in (None, SYSTEM):
                messages = [{"role": "user", "content": text}]
                if system is not None:
                    messages.insert(0, {"role": "system", "content": system})
                case = {"template": name, "text": text, "system": system}
                given = {"chat_template": template, "add_generation_prompt": True}
                try:
                    case["written"] = tokenizer.apply_chat_template(messages, tokenize=False, **given)
                    case["ids"] = list(tokenizer.apply_chat_template(messages, return_dict=False, **given))
                except Exception as error:  # what templates raise has no class of its own
                    case["raises"] = str(error)
                cases.append(case)
    write("test/references/chat.json", {"templates": TEMPLATES, "cases": cases})


main()
