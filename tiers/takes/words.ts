// How buyers speak: patterns over plain words (`plainText`), one sentence part at a time. Knows no ware and decides nothing.

/** Of two or more things: by what it is told from the others. */
const which =
  '(?<which>first|former|second|latter|last|other|cheap(?:er|est)?|less expensive|least expensive|dearer|dearest|(?:more |most )?expensive|pric(?:ier|iest)|costl(?:ier|iest)|free)';
const thing = [
  // What was spoken of last.
  '(?:(?:a |the )?(?:new|good|fresh) one|(?:one|1|some|another)(?: one)?)(?: of (?:those|them|these|yours|your best|your finest))?',
  '(?:that|this|the) one',
  'it|that|this|them|those|these|yours',
  `(?:the |your |that )(?:\\w+ )?${which}(?: (?:ones?|things?|option|of (?:the two|those|them|these|both)))?`,
].join('|');

const softly =
  '(?: (?:like|love|rather|just|gladly|happily|then|please|also|have to|to|really|gonna|going to|want to|better|definitely))*';
const wishing =
  'ill|i will|i shall|id|i would|let me|lemme|let us|lets|well|we will|can i|could i|may i|might i|can we|could we|gonna|wanna|like to|want to';
/** Words of somebody who takes what comes next. */
const taking = [
  `(?:${wishing}|i|we|here to|time to)${softly} (?:take|buy|purchase|grab|choose|pick|go (?:for|with))`,
  `(?:${wishing}|we shall)${softly} (?:have|get)`,
  '(?:i|we|ill|well)(?: (?:really|just|do|badly|now|think i))? (?:want|need|fancy)',
  `(?:id|i would|wed|we would)${softly} (?:like|love|prefer)`,
  '(?:im|i am|were|we are) (?:buying|purchasing|taking|having|getting)',
  'and (?:have|take|buy)',
  '(?:give|hand|pass|sell|bring|brew|pour|fetch|get|serve|dish|slide|draw|fill|set|hook|fix)(?: me| us)(?: up)?(?: with)?',
  '(?:may|might|can|could) i trouble you for',
  '(?:pour|bring|fetch|serve)(?= it\\b)',
  '(?:gimme|gib|lets have|make it|make mine|hand over|wrap up|pack up|put me down for|ring me up|set me up with|hook me up with|fix me up with|pull me)',
].join('|');
/** What may stand before a ware that is taken. */
const kindly =
  '(?: (?:a|an|the|one|1|your|thy|that|this|some|another|of|of those|of these|of them|also|please|pls|just|over|more|good|fine|finest|best|better|nice|new|strong|stout|sturdy|solid|sharp|shiny|round|hot|fresh|warm|cold|big|large|small|little|full|tall|decent|proper|real|simple|plain|cheap|healing|hearty|whole|single|bloody|damn|fever|wound|winter|beef|dark|brown|mug|bowl|pot|jar|loaf|cup|pint|plate|piece|glass|portion|helping|tin)){0,6}';
/** Short words that end what is taken. */
const close =
  '(?= (?:please|pls|plz|pleas|then|now|thanks|thank|thx|ty|cheers|too|as well|for (?:me|us|now|my)|off|from|after all|instead|at once|right (?:now|away)|sir|friend|mate|smith|love|dear|man|lass|before|here|to go|if you (?:please|will)|of (?:you|thee)|and)\\b|$)';
/** What was named in the same breath. */
export const takesOne = new RegExp(
  `\\b(?:${taking}) (?:(?:a |the )?(?:new |good |fresh )?one|1|it|that one)${close}`,
);
export const takesUnnamed = new RegExp(`\\b(?:${taking})(?: please| just)? (?:${thing})${close}`);

/** What may stand around few words without another meaning. */
const manners =
  '(?:ok|okay|alright|all right|fine|good|great|very well|well|right|yes|yeah|yea|yep|yup|ya|yay|aye|sure|go on|oh|ah|hm+|ugh|then|so|and|but|actually|please|pls|plz|pleas|now|just|thanks|thank you|thx|ty|cheers|for me|for us|too|after all|instead|friend|mate|sir|madam|miss|love|dear|master|smith|lass|lad|old man|ill pay|fair|fair enough|full price|why not|perfect|lovely|excellent|it is|it shall be|wait)';
const around = (inner: string) => new RegExp(`^(?:${manners} )*(?:${inner})(?: ${manners})*$`);
export const bareThing = around(
  `(?:one|1)(?: of (?:those|them|these|yours))?|(?:that|this) one|(?:the |your |that )(?:\\w+ )?${which}(?: (?:ones?|things?|option))?`,
);
export const bareWhich = around(`${which} (?:ones?|things?|option|it is)`);
/** Agreed, without a word on what. */
export const agreed = around(
  '(?:(?:its|it is|you have|youve got|you got|we have|weve got|thats|that is|then its) )?(?:a )?(?:deal|sold|done|done deal|agreed)|(?:the |its a )?bargain(?: is)?(?: struck)?|so be it|go on|go ahead|you(?:ve)? (?:talked me into it|convinced me|persuaded me|win)|(?:hand|give|pass|bring|pack|wrap|slide|toss) (?:it|that|one|mine) (?:over|here|up|across|down)(?: .*)?|hand over|(?:give|hand|sell|pass) (?:it|that|one|them) to me|i (?:take|buy|pay)|(?:im|i am) (?:buying|paying|in|sold)|count me in|(?:ill|i will) (?:pay|buy|bite)(?: it| that)?|(?:yes|aye|yeah) please|here (?:is|are|s) (?:the|my|your) (?:gold|coins?|money)|heres (?:the|my|your) (?:gold|coins?|money)|take my (?:gold|coins?|money)|(?:it|that)(?:ll| will)? do(?: nicely)?',
);
/** With a ware in the clause it is taken. */
export const paying =
  /\b(?:im|i am|we are|were|ill be) (?:paying|buying)\b|\b(?:ill|i will|i) pay\b|\b(?:heres|here is|here are|take|got) (?:the|my|your) (?:gold|coins?|money|pay)\b|\b(?:please|pls|plz|plox|quickly|quick|hurry)\b|\b(?:coins?|gold|money) (?:is |are |s )?(?:on the|in (?:my )?hand|by the|ready)|\bfor me\b|^now$/;

/** The character has handed it over already. */
export const handing =
  /\b(?:here (?:is|are|comes?) (?:your|the|a|my)|take (?:this|these|your|it|the)|yours)\b/i;

/** Not now, not so, or not for gold; or the player asks, and does not want it yet. */
export const otherwise =
  /\b(?:lend|borrow|rent|loan|pledge|promise|credit|free of charge|for free|for nothing|pay nothing|without paying|gift|discount|(?:cheaper|better|lower) price|makers?|dev|developers?|admin|game|prompt|instructions?|command|system|for (?:half|less|a (?:kiss|song|story|smile))|tomorrow|later|next week|someday|aside|hold|save|unless|trade|swap|in exchange|(?:you|u) give me|on trust|(?:not|wont|never) pay(?:ing)?|less money|more cheap|recipe|myself|repair|mend|return|refund|(?:give|take|bring|want|get) (?:\w+ )?(?:\w+ )?back|steal|run|my (?:sword|shield|blade|gear|armou?r)|take my (?!gold|coins?|money)\w+|my (?!gold|coins?|money|last)\w+ for (?:a|the|your))\b/;
/** Who says no, or not now. */
export const declining =
  /\b(?:on second thoughts?|another (?:day|time)|not (?:today|now|yet)|(?:keep|save) my (?:coins?|gold|money)|leave it|(?:ill|i will|im|i am|better) (?:stay|staying|walk|walking)|no thanks?|no thank you|not go(?:ing)?(?! (?:home|back|anywhere|on))|not (?:buy|buying|take|taking|want|cross|crossing)|dont (?:want|need|buy|take|open|row)\b(?!.*\b(?:but|just|only|rather|give|gimme|other)\b)|nothing for me|rather not|cancel|pass on (?:it|that|this)|just (?:looking|asking|browsing)|thought better|decided against|will not (?:buy|take|cross))\b/;
/** With a name beside it it asks or haggles; without one it says which. */
export const haggling = /\b(?:free|cheaper|cheapest|not today|prices?|pric|costs?|sums?|tally)\b/;
export const asking =
  /^(?:and |but |so |or |ok |oh |hey |hi |wait |please |then )*(?:do|does|did|is|are|was|were|should|if|has|have|would|will)\b|\b(?:whats?(?! an? )|which|hows?|who|whos|where|wheres|when|why|tell me|want to know|wonder|explain)\b/;
export const denied =
  /\b(?:dont|do not|doesnt|not|never|wont|cant|cannot|couldnt|wouldnt|didnt|if|maybe|perhaps|might be|no)\b/;
/** A ware after these is not what is taken. */
export const turnedDown =
  /\b(?:no|not|instead of|rather than|never mind|forget|without|skip|scrap|keep)(?: (?:a|an|the|your|any|that))*$/;
/** What may come after the name of a ware, which may go on: "bowl of your stew". */
export const follows =
  /^(?:$|(?:please|pls|plz|plox|pleas|thanks|thank|thx|ty|cheers|then|now|too|also|as|for|with|to|over|on|off|in|at|by|from|out|up|behind|before|against|that|i|im|ill|youve|ive|id|we|so|and|but|or|it|its|is|are|was|if|you|u|heres|here|me|my|mate|friend|smith|sir|madam|love|dear|man|lass|lad|good|right|today|tonight|first|instead|after|because|cause|since|while|when|stuff|thing|things|ones?|buying|coins?|gold|money|no|not|this|there|mine|again|like|just|deal|sold|thingy)\b|(?:of |full of )(?:(?:the|your|that|this|good|hot|some|fresh|fine|dark|healing|fever) )*(?<more>\w+))/;
export const takingBefore = new RegExp(`\\b(?:${taking})${kindly}$`);
