import { onEachStore } from '@antirio/testing';
import { KEEPER_STORE_CASES, openStoreOf } from './testing/keeper-store-compliance.ts';

onEachStore(KEEPER_STORE_CASES, openStoreOf);
