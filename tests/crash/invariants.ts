/** All that must hold, whatever was killed. */
import type { Invariant } from '../../src/load/invariants.ts'
import { toldOnce } from './callback-invariants.ts'
import {
  attemptsBounded,
  claimsRepeat,
  heldOnce,
  notBefore,
  stopsHeard,
  tokensFence,
} from './claim-invariants.ts'
import type { Evidence } from './evidence.ts'
import { acknowledgedKept, addedOnce, legallyEnded } from './run-invariants.ts'
import { inStep, legalMoves, orderKept, serversStay } from './state-invariants.ts'

const CHECKS = [
  acknowledgedKept,
  addedOnce,
  heldOnce,
  tokensFence,
  claimsRepeat,
  attemptsBounded,
  notBefore,
  stopsHeard,
  legallyEnded,
  toldOnce,
  orderKept,
  legalMoves,
  inStep,
  serversStay,
]

export const checkAll = (evidence: Evidence): Invariant[] => CHECKS.map((check) => check(evidence))

export const isBroken = ({ broken }: Invariant): boolean => broken > 0
