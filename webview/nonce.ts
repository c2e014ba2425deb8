/**
 * The toolkit tries a style sheet while it loads, and looks for the nonce that lets it in this `<meta>`. Imported
 * before the toolkit; without it the policy's refusal lands in the console.
 */
const nonce = document.querySelector<HTMLScriptElement>('script[nonce]')?.nonce;
if (nonce) {
  const meta = document.querySelector('meta[property="csp-nonce"]') ?? document.createElement('meta');
  meta.setAttribute('property', 'csp-nonce');
  meta.setAttribute('content', nonce);
  document.head.append(meta);
}
