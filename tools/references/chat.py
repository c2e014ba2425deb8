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
    "Llama 3.1": "{{- bos_token }}\n{%- if not date_string is defined %}\n    {%- set date_string = '26 Jul 2024' %}\n{%- endif %}\n{%- if messages[0]['role'] == 'system' %}\n    {%- set system = messages[0]['content'] | trim %}\n    {%- set messages = messages[1:] %}\n{%- else %}\n    {%- set system = '' %}\n{%- endif %}\n"
    "{{- '<|start|>system<|end|>\\n\\n' }}\n{%- if tools is not none %}\n    {{- 'Environment: ipython\\n' }}\n{%- endif %}\n{{- 'Today: ' + date_string + '\\n\\n' }}\n{{- system }}\n{{- '<|eot|>' }}\n"
    "{%- for message in messages %}\n    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}\n        {{- '<|start|>' + message['role'] + '<|end|>\\n\\n' + message['content'] | trim + '<|eot|>' }}\n    {%- elif 'tool_calls' in message %}\n        {{- raise_exception('One call at a time') }}\n    {%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|start|>assistant<|end|>\\n\\n' }}\n{%- endif %}\n",
    "Qwen 2.5": "{%- if tools %}\n    {{- '<|im_start|>system\\n# Tools' }}\n{%- else %}\n    {%- if messages[0].role == 'system' %}\n        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}\n    {%- else %}\n        {{- '<|im_start|>system\\nYou help.<|im_end|>\\n' }}\n    {%- endif %}\n{%- endif %}\n"
    "{%- for message in messages %}\n    {%- if (message.role == 'user') or (message.role == 'system' and not loop.first) or (message.role == 'assistant' and not message.tool_calls) %}\n        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n    {%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n",
    "Qwen 3": "{%- set ns = namespace(multi_step=true, last=messages|length - 1) %}\n{%- for message in messages[::-1] %}\n    {%- set index = (messages|length - 1) - loop.index0 %}\n    {%- if ns.multi_step and message.role == 'user' and not (message.content.startswith('<answer>') and message.content.endswith('</answer>')) %}\n        {%- set ns.multi_step = false %}\n        {%- set ns.last = index %}\n    {%- endif %}\n{%- endfor %}\n"
    "{%- for message in messages %}\n    {%- if message.content is string %}\n        {%- set content = message.content %}\n    {%- else %}\n        {%- set content = '' %}\n    {%- endif %}\n    {%- if message.role == 'user' or message.role == 'system' %}\n        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}\n    {%- elif message.role == 'assistant' and loop.index0 > ns.last %}\n        {{- content.split('</think>')[-1].lstrip('\\n') }}\n    {%- endif %}\n{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n    {%- if enable_thinking is defined and enable_thinking is false %}\n        {{- '<think>\\n\\n</think>\\n\\n' }}\n    {%- endif %}\n{%- endif %}",
    "Gemma 3": "{{ bos_token }}\n{%- if messages[0]['role'] == 'system' -%}\n    {%- if messages[0]['content'] is string -%}\n        {%- set first = messages[0]['content'] + '\n\n' -%}\n    {%- else -%}\n        {%- set first = messages[0]['content'][0]['text'] + '\n\n' -%}\n    {%- endif -%}\n    {%- set turns = messages[1:] -%}\n{%- else -%}\n    {%- set first = '' -%}\n    {%- set turns = messages -%}\n{%- endif -%}\n"
    "{%- for message in turns -%}\n    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}\n        {{ raise_exception('Roles must alternate') }}\n    {%- endif -%}\n    {%- if (message['role'] == 'assistant') -%}\n        {%- set role = 'model' -%}\n    {%- else -%}\n        {%- set role = message['role'] -%}\n    {%- endif -%}\n    {{ '<start_of_turn>' + role + '\n' + (first if loop.first else '') }}\n    {%- if message['content'] is string -%}\n        {{ message['content'] | trim }}\n    {%- elif message['content'] is iterable -%}\n        {%- for item in message['content'] -%}\n            {%- if item['type'] == 'image' -%}\n                {{ '<start_of_image>' }}\n            {%- elif item['type'] == 'text' -%}\n                {{ item['text'] | trim }}\n            {%- endif -%}\n        {%- endfor -%}\n    {%- else -%}\n        {{ raise_exception('Invalid content type') }}\n    {%- endif -%}\n    {{ '<end_of_turn>\n' }}\n{%- endfor -%}\n{%- if add_generation_prompt -%}\n    {{ '<start_of_turn>model\n' }}\n{%- endif -%}\n",
    "DeepSeek": "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(is_first=false, system='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system = message['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system}}"
    "{%- for message in messages %}{%- if message['role'] == 'user' %}{{'<|User|>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is not none %}{{'<|Assistant|>' + message['content'] + eos_token}}{%- endif %}{%- endfor -%}{% if add_generation_prompt %}{{'<|Assistant|><think>\\n'}}{% endif %}",
    "Vicuna": "{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] + ' ' }}{% else %}{{ 'A chat. ' }}{% endif %}" + LOOP
    + "{% if message['role'] == 'user' %}{{ 'USER: ' + message['content'].strip() + ' ' }}{% elif message['role'] == 'assistant' %}{{ 'ASSISTANT: ' + message['content'] + eos_token }}{% endif %}" + END
    + "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}",
    "Alpaca": "{% macro section(name, content) %}{{ '### ' ~ name ~ ':\\n' ~ content ~ '\\n\\n' }}{% endmacro %}" + LOOP
    + "{{ section({'system': 'System', 'user': 'Instruction', 'assistant': 'Response'}[message.role], message.content) }}" + END
    + "{%- if add_generation_prompt -%}{{ '\\n\\n### Response:\\n' }}{%- endif -%}",
    "Granite": "{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] %}{%- set loop_messages = messages[1:] %}{%- else %}{%- set system = 'Be helpful.' %}{%- set loop_messages = messages %}{%- endif %}"
    "{{- '<|role|>system<|end|>' + system + eos_token + '\\n' }}{%- for message in loop_messages %}{{- '<|role|>' + message['role'] + '<|end|>' + message['content'] + eos_token + '\\n' }}{%- if loop.last and add_generation_prompt %}{{- '<|role|>assistant' }}{%- if controls %}{{- ' ' + controls | tojson }}{%- endif %}{{- '<|end|>' }}{%- endif %}{%- endfor %}",
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
                    without = tokenizer.apply_chat_template(messages, tokenize=False, **given | {"add_generation_prompt": False})
                    if case["written"].startswith(without):
                        case["answer"] = case["written"][len(without) :]
                    case["ids"] = list(tokenizer.apply_chat_template(messages, return_dict=False, **given))
                except Exception as error:  # what templates raise has no class of its own
                    case["raises"] = str(error)
                cases.append(case)
    write("test/references/chat.json", {"templates": TEMPLATES, "cases": cases})


if __name__ == "__main__":
    main()
