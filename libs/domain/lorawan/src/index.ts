export * from './ids.ts';
export * from './phy-payload.ts';
export * from './session-cipher.ts';
export * from './identity.ts';
export * from './fcnt.ts';
export * from './fcnt-set.ts';
export * from './cayenne-lpp.ts';
export * from './eu868.ts';
