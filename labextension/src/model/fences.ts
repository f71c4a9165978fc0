/** Text as a fenced block that nothing in it can close. Pure. */
export function fenced(text: string, language: string): string {
  const longest = Math.max(
    2,
    ...[...text.matchAll(/`{3,}/g)].map(([run]) => run.length)
  );
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}\n`;
}
