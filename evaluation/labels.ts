// Labels of acts, as questions name them: "give sword", "open_gate", "emote wave". A label says the verb and those
// arguments that matter; a price need not be among them.

/** Whether `label` names this act. An argument may have several values (an act of a character), any of which will do. */
export function isLabelOf(label: string, verb: string, args: Readonly<Record<string, unknown>>): boolean {
  const [first = '', ...rest] = label.trim().toLowerCase().split(/\s+/);
  if (first !== verb) return false;
  let left = ` ${rest.join(' ')} `;
  const values = Object.values(args).flat().map(String);
  // The longest first: "sword of fire" is not "sword" with something left over.
  for (const value of values.sort((a, b) => b.length - a.length)) {
    const spoken = ` ${value.toLowerCase()} `;
    if (left.includes(spoken)) left = left.replace(spoken, ' ');
  }
  return left.trim() === '';
}

/** An act as a label, with all its arguments. */
export function labelOf(verb: string, args: Readonly<Record<string, unknown>>): string {
  return [verb, ...Object.values(args).map(String)].join(' ');
}
