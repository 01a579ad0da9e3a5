import { onEachStore } from '@antirio/testing';
import { ENTITY_STORE_CASES, openStoreOf } from './testing/entity-store-compliance.ts';

onEachStore(ENTITY_STORE_CASES, openStoreOf);
