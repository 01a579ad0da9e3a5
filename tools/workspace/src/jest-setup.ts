import { jest } from '@jest/globals';
import fc from 'fast-check';

declare const testTimeoutMs: number;

// Jest has one timeout for all projects; each of our kinds of test has its own.
jest.setTimeout(testTimeoutMs);

// What passed here passes there: properties draw the same examples in every run, until another seed is asked for.
const { PROPERTY_SEED = '1' } = process.env;
if (!/^\d{1,9}$/.test(PROPERTY_SEED)) throw new Error(`PROPERTY_SEED is a number, not ${PROPERTY_SEED}`);
fc.configureGlobal({ seed: Number(PROPERTY_SEED) });
