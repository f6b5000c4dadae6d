/**
 * The rules for the fields of a header block. The decoder and the encoder check by the same, so that neither can send what
 * the other would refuse.
 *
 * The rules are those of RFC 9110 §5.1 and §5.5, and of RFC 9113 §8.2 and §8.3, except that names may have capitals. One
 * rule is added: the value of a pseudo-field holds no white space, so that it cannot end a word of a request line.
 * `:reason` may: it is the end of its line.
 */
import { Flag } from "./frame_types.ts";

/** Sets of characters, as bits. A text has the bits that all of its characters have. */
export const Alphabet = { TOKEN: 1, VALUE: 2, PSEUDO_VALUE: 4, DIGIT: 8 } as const;
const { TOKEN, VALUE, PSEUDO_VALUE, DIGIT } = Alphabet;
/** All bits: those of an empty text. */
export const ALL_ALPHABETS = 15;

const COLON = 0x3a;
const SLASH = 0x2f;

/** The alphabets of each byte. */
export const alphabets: Uint8Array = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  const char = String.fromCharCode(byte);
  if (/[!#$%&'*+.^_`|~0-9A-Za-z-]/.test(char)) alphabets[byte]! |= TOKEN;
  if (byte === 0x09 || (byte >= 0x20 && byte !== 0x7f)) alphabets[byte]! |= VALUE;
  if (byte > 0x20 && byte !== 0x7f) alphabets[byte]! |= PSEUDO_VALUE;
  if (/[0-9]/.test(char)) alphabets[byte]! |= DIGIT;
}

const pseudoName = /^:[!#$%&'*+.^_`|~0-9a-z-]+$/;

/** The pseudo-fields that are known, as bits. Others are allowed, and ignored by whoever does not know them. */
const Pseudo = {
  UNKNOWN: 0,
  METHOD: 1,
  SCHEME: 2,
  AUTHORITY: 4,
  PATH: 8,
  STATUS: 16,
  REASON: 32,
  PROTOCOL: 64,
  CLIENT: 128,
  REQUEST_ID: 256,
  TUNNEL: 512,
} as const;
type Pseudo = typeof Pseudo[keyof typeof Pseudo];

/** Checks the fields of one block after the other, in their order. The codec does not know which ones a message needs. */
export class BlockRules {
  /** The known pseudo-fields of this block, and the names of the others. */
  #seen = 0;
  #others: string[] = [];
  #firstPseudo = "";
  #hasOrdinary = false;
  #isInterim = false;

  /** A block begins. */
  begin(): void {
    this.#seen = 0;
    if (this.#others.length > 0) this.#others = [];
    this.#firstPseudo = "";
    this.#hasOrdinary = false;
    this.#isInterim = false;
  }

  /**
   * What is wrong with the next field, or null.
   *
   * @param nameAlphabets those that all characters of the name are in, as `Alphabet`; `valueAlphabets` likewise
   */
  faultOf(name: string, nameAlphabets: number, value: string, valueAlphabets: number): string | null {
    if (name.charCodeAt(0) === COLON) return this.#pseudoFaultOf(name, value, valueAlphabets);
    this.#hasOrdinary = true;
    if ((nameAlphabets & TOKEN) === 0 || name === "") {
      return name === "" ? "Field name is empty" : `Field name ${quote(name)} is no token`;
    }
    if (isRefusedName(name)) return `Field ${quote(name)} does not belong in a header block`;
    return (valueAlphabets & VALUE) === 0 ? `Value of field ${quote(name)} has a control character` : null;
  }

  /**
   * Which of the fields, each of them right by itself, the frame's flags do not allow; or null.
   *
   * @param flags default: not checked
   */
  flagsFault(flags: number | undefined): string | null {
    if (flags === undefined) return null;
    if ((flags & Flag.TRAILERS) !== 0 && this.#firstPseudo !== "") {
      return `Pseudo-field ${this.#firstPseudo.slice(0, 64)} stands among trailers`;
    }
    if (this.#isInterim === ((flags & Flag.INFORMATIONAL) !== 0)) return null;
    return this.#isInterim ? "Interim :status without INFORMATIONAL" : "INFORMATIONAL without an interim :status";
  }

  #pseudoFaultOf(name: string, value: string, valueAlphabets: number): string | null {
    const pseudo = pseudoOf(name);
    if (pseudo === Pseudo.UNKNOWN && !pseudoName.test(name)) {
      return `Pseudo-field name ${quote(name)} is no lower-case token after its colon`;
    }
    if (!isPseudoValue(pseudo, value, valueAlphabets)) return `Value ${quote(value)} is invalid for ${quote(name)}`;
    if (this.#hasOrdinary) return `Pseudo-field ${name.slice(0, 64)} stands after an ordinary field`;
    if ((this.#seen & pseudo) !== 0 || (pseudo === Pseudo.UNKNOWN && this.#others.includes(name))) {
      return `Pseudo-field ${name.slice(0, 64)} stands twice`;
    }
    if (this.#firstPseudo === "") this.#firstPseudo = name;
    if (pseudo === Pseudo.UNKNOWN) this.#others.push(name);
    else this.#seen |= pseudo;
    if (pseudo === Pseudo.STATUS) this.#isInterim = value.charCodeAt(0) === 0x31 && value !== "101";
    return null;
  }
}

function pseudoOf(name: string): Pseudo {
  switch (name) {
    case ":method":
      return Pseudo.METHOD;
    case ":scheme":
      return Pseudo.SCHEME;
    case ":authority":
      return Pseudo.AUTHORITY;
    case ":path":
      return Pseudo.PATH;
    case ":status":
      return Pseudo.STATUS;
    case ":reason":
      return Pseudo.REASON;
    case ":protocol":
      return Pseudo.PROTOCOL;
    case ":client":
      return Pseudo.CLIENT;
    case ":request-id":
      return Pseudo.REQUEST_ID;
    case ":tunnel":
      return Pseudo.TUNNEL;
    default:
      return Pseudo.UNKNOWN;
  }
}

function isPseudoValue(pseudo: Pseudo, value: string, valueAlphabets: number): boolean {
  switch (pseudo) {
    case Pseudo.METHOD:
      return value !== "" && (valueAlphabets & TOKEN) !== 0;
    case Pseudo.STATUS:
      return value.length === 3 && (valueAlphabets & DIGIT) !== 0;
    case Pseudo.REASON:
      return (valueAlphabets & VALUE) !== 0;
    case Pseudo.PATH:
      return (valueAlphabets & PSEUDO_VALUE) !== 0 && (value.charCodeAt(0) === SLASH || value === "*");
    default:
      return (valueAlphabets & PSEUDO_VALUE) !== 0;
  }
}

/**
 * Whether an ordinary field is one that no block may hold, since it concerns one hop alone. `host` becomes `:authority`,
 * `upgrade` becomes `:protocol`.
 */
function isRefusedName(name: string): boolean {
  switch (name.length) {
    case 4:
      return name.toLowerCase() === "host";
    case 7:
      return name.toLowerCase() === "upgrade";
    case 10:
      return name.toLowerCase() === "connection";
    case 17:
      return name.toLowerCase() === "transfer-encoding";
    default:
      return false;
  }
}

/** A text for an error message: printable, and short whatever a peer sent. */
function quote(text: string): string {
  const shown = JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
  return shown.replaceAll(/[\x7f-\x9f]/g, "?");
}
