// The colours of the village, in one place so that they stay one family: warm, a little faded, dark plum for lines.

export const ink = 0x2a1f2d;
export const shadow = 0x241a35;

export const grass = [0x5f9147, 0x689b4c, 0x72a653, 0x7db05b] as const;
export const tuft = { dark: 0x4b7a3c, light: 0x93c46a };
export const flowers = [0xf2d95c, 0xe87f8f, 0xf4f0e4, 0xa98fd6] as const;
export const path = [0xb48f5e, 0xc19c69, 0xcba974] as const;
export const pathEdge = 0x94743f;
export const cobble = [0x98928a, 0xa59f96, 0xb2ada2, 0x8b857f] as const;
export const cobbleGap = 0x716b67;
export const water = [0x3a78a6, 0x4283b0, 0x4a8eba] as const;
export const foam = 0xb5dbe3;
export const sand = [0xd4ba84, 0xdec692] as const;
export const soil = [0x7a5738, 0x6a4a30] as const;

/** Four shades each: line, dark, plain, light. */
export type Ramp = readonly [line: number, dark: number, plain: number, light: number];
export const wood: Ramp = [0x4b2f1e, 0x6b4528, 0x8a5d36, 0xa97a49];
export const timber: Ramp = [0x3a2419, 0x523423, 0x6a4630, 0x825c40];
export const stone: Ramp = [0x55525e, 0x74717c, 0x8f8c95, 0xaba8ae];
export const plaster: Ramp = [0xb79f76, 0xd3bf95, 0xe6d7b2, 0xf1e6c9];
export const tile: Ramp = [0x74302b, 0x97402f, 0xb4553b, 0xcd7350];
export const slate: Ramp = [0x34415b, 0x465877, 0x5a7093, 0x748bac];
export const thatch: Ramp = [0x80602f, 0xa37e3a, 0xc39b4c, 0xdcb969];
export const moss: Ramp = [0x35502f, 0x4a6b3c, 0x60864b, 0x7da15f];
export const plum: Ramp = [0x4d2f4d, 0x6b4468, 0x865b80, 0xa47a9b];
export const leaf: Ramp = [0x22492f, 0x2f6437, 0x447f40, 0x66a04f];
export const oak: Ramp = [0x5a3f1d, 0x8d6426, 0xb98a32, 0xdcb34c];
export const pine: Ramp = [0x1c3f36, 0x285847, 0x377256, 0x4f8d67];
export const iron: Ramp = [0x35323d, 0x524f5c, 0x74717f, 0xa19fab];
export const gold: Ramp = [0x8a5c1c, 0xbf8a2c, 0xe6b94a, 0xf8e08a];
export const ember: Ramp = [0x8a2b1a, 0xd0521e, 0xf28a2c, 0xffd36b];
export const glass = { day: 0x7fa6b8, shine: 0xbcd8de, night: 0xffcf70 };
