/** Why ONNX Runtime refused, out of what it says. */

/** Most characters of a reason, and of a message that are looked at, at each of its ends: names in it may be endless. */
const longest = 300;
const looked = 4000;

/**
 * The reason in a message of ONNX Runtime, on one line: without the statuses that are wrapped around it, the place in
 * its sources with the C++ signature of the function, and the addresses of a stack. Of a long one, the end: what comes
 * before it is code.
 */
export function reasonOf(message: string): string {
  const [said = ''] = message.split('\nStacktrace:');
  const ends = said.length > 2 * looked ? `${said.slice(0, looked)} … ${said.slice(-looked)}` : said;
  const line = ends.replace(/\s+/g, ' ').trim();
  const inner = line.replace(/^.*(Status Message: |\breturned: |\[ONNXRuntimeError\] : \d+ : \w+ : )/i, '');
  const reason = unsupported(line) ?? (withoutPlace(inner) || inner || line);
  return reason.length > longest ? `…${reason.slice(-longest)}` : reason;
}

/** What the binding says of a type by its number alone; of ONNX's types it lacks this one (docs/decisions.md). */
function unsupported(message: string): string | undefined {
  if (!/Unsupported data type: 16\b/.test(message)) return undefined;
  return 'values there are bfloat16, which ONNX Runtime’s binding for Node.js does not take; convert the model to float16 or float32';
}

/** Without `path/of/file.cc:123 type name::function<int>(arguments) const [with T = int] `, whatever it has of that. */
function withoutPlace(text: string): string {
  const place = /^\S+\.(?:cc|cpp|cu|cuh|h|hpp|inl):\d+ /.exec(text);
  if (!place) return text;
  const rest = text.slice(place[0].length);
  // Types and names before the arguments, without what is in angle brackets.
  const words = outside(rest.slice(0, Math.max(0, rest.indexOf('('))), '<', '>').split(' ');
  const hasArguments = words.length <= 4 && words.every((word) => /^[\w:*&~]+$/.test(word));
  // Some compilers give a function's name alone.
  if (!hasArguments) return rest.replace(/^[\w~]+(?:::[\w~]+)* /, '');
  let at = rest.indexOf('(');
  while (rest[at] === '(') {
    const end = closingOf(rest, at);
    if (end === undefined) return rest;
    at =
      end +
      (/^(?:>|(?: ?(?:const|noexcept|mutable)\b)?(?:::<?\w+)?)(?=[( >:])/.exec(rest.slice(end, end + 100))?.[0]
        .length ?? 0);
  }
  return rest
    .slice(at)
    .replace(/^>?(?: ?(?:const|noexcept|mutable)\b)*(?: ?\[with [^\]]*\])?/, '')
    .trim();
}

/** A text without what stands between brackets of a kind, and without these. */
function outside(text: string, open: string, close: string): string {
  let depth = 0;
  return Array.from(text, (sign) => {
    if (sign === open) depth++;
    const kept = depth === 0 ? sign : '';
    if (sign === close) depth--;
    return kept;
  }).join('');
}

/** Behind the parenthesis that closes the one at `from`. */
function closingOf(text: string, from: number): number | undefined {
  let depth = 0;
  for (let i = from; i < text.length; i++) {
    if (text[i] === '(') depth++;
    else if (text[i] === ')' && --depth === 0) return i + 1;
  }
  return undefined;
}
