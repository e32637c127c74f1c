// Words of players, and of whoever else is not the author, on their way into a prompt: what is no text is taken out.
// An engine tokenises them as plain text besides.

/** What chat templates use for control, in the forms that the common model families have. */
const controlForms = [
  /<\|[^<>|\n]{0,64}\|>/g,
  /<[｜|][^<>\n]{0,64}[｜|]>/g,
  /<\/?(?:s|start_of_turn|end_of_turn|bos|eos|pad|unk|think|tool_call|tool_response)>/gi,
  /\[\/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]/g,
  /<<\/?SYS>>/g,
];
// Control characters but for line breaks, zero-width and direction marks, tag characters, non-characters.
const invisible =
  /[\p{Cc}\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Noncharacter_Code_Point}]/gu;

/** A player's text without what is no text: control and invisible characters, and the control forms of chat templates. */
export function cleanText(text: string): string {
  let clean = text.toWellFormed().normalize('NFC').replace(/\s+/g, ' ').replace(invisible, '');
  // Until nothing changes, or a form could be hidden inside another one.
  for (let before = ''; before !== clean; ) {
    before = clean;
    for (const form of controlForms) clean = clean.replace(form, ' ');
  }
  return clean.replace(/ {2,}/g, ' ').trim();
}
