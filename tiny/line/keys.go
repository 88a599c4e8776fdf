package line

import (
	"io"
	"slices"
	"unicode"

	"golang.org/x/sys/unix"
)

func control(letter byte) rune { return rune(letter & 0x1f) }

// key applies one key. It is done when the line is.
func (e *Editor) key(r rune) (done bool, err error) {
	if e.search != nil && e.searchKey(r) {
		return false, nil
	}
	switch r {
	case '\r', '\n':
		e.at = len(e.text)
		e.draw()
		e.leave()
		return true, nil
	case control('C'):
		e.draw()
		e.out = append(e.out, "^C"...)
		e.text = nil
		e.leave()
		return true, ErrInterrupted
	case control('D'):
		if len(e.text) == 0 {
			e.leave()
			return true, io.EOF
		}
		e.remove(e.at, e.at+1)
	case control('A'):
		e.move(0)
	case control('E'):
		e.move(len(e.text))
	case control('B'):
		e.move(e.at - 1)
	case control('F'):
		e.move(e.at + 1)
	case control('H'), 0x7f:
		if e.at > 0 {
			e.remove(e.at-1, e.at)
		}
	case control('K'):
		e.cut(e.at, len(e.text))
	case control('U'):
		e.cut(0, e.at)
	case control('W'):
		e.cut(e.blankBefore(), e.at)
	case control('Y'):
		e.insert(e.yank...)
	case control('T'):
		e.swap()
	case control('L'):
		e.out = append(e.out, "\x1b[H\x1b[2J"...)
		e.row, e.stale = 0, true
	case control('P'):
		e.recall(e.past - 1)
	case control('N'):
		e.recall(e.past + 1)
	case control('R'):
		e.startSearch()
	case '\t':
		e.complete()
	case 0x1b:
		return false, e.escape()
	default:
		if r >= ' ' {
			e.insert(r)
		}
	}
	return false, nil
}

// escape reads the rest of a key that starts with ESC: CSI and SS3 sequences, and Alt with a letter.
func (e *Editor) escape() error {
	if !e.soon() {
		return nil
	}
	b, err := e.byte()
	if err != nil {
		return io.EOF
	}
	switch b {
	case '[', 'O':
	case 'b':
		e.move(e.wordBefore())
		return nil
	case 'f':
		e.move(e.wordAfter())
		return nil
	case 'd':
		e.cut(e.at, e.wordAfter())
		return nil
	case 0x7f, 8:
		e.cut(e.wordBefore(), e.at)
		return nil
	default:
		return nil
	}
	var number []byte
	for {
		if !e.soon() {
			return nil
		}
		if b, err = e.byte(); err != nil {
			return io.EOF
		}
		if b >= '@' && b <= '~' {
			break
		}
		if number = append(number, b); len(number) > 16 {
			return nil
		}
	}
	e.sequence(b, string(number))
	return nil
}

func (e *Editor) sequence(final byte, number string) {
	byWord := len(number) > 2 && number[0] == '1' // 1;5C is Ctrl with an arrow, 1;3C Alt
	switch {
	case final == 'A':
		e.recall(e.past - 1)
	case final == 'B':
		e.recall(e.past + 1)
	case final == 'C' && byWord:
		e.move(e.wordAfter())
	case final == 'D' && byWord:
		e.move(e.wordBefore())
	case final == 'C':
		e.move(e.at + 1)
	case final == 'D':
		e.move(e.at - 1)
	case final == 'H', final == '~' && (number == "1" || number == "7"):
		e.move(0)
	case final == 'F', final == '~' && (number == "4" || number == "8"):
		e.move(len(e.text))
	case final == '~' && number == "3":
		e.remove(e.at, e.at+1)
	}
}

// soon says whether more of a key follows: a lone ESC has nothing behind it.
func (e *Editor) soon() bool {
	n, _ := unix.Poll([]unix.PollFd{{Fd: int32(e.In), Events: unix.POLLIN}}, 50)
	return n > 0
}

func (e *Editor) move(to int) {
	if to = min(max(to, 0), len(e.text)); to != e.at {
		e.at, e.stale = to, true
	}
}

func (e *Editor) insert(runes ...rune) {
	if e.at == len(e.text) && !e.stale {
		e.text = append(e.text, runes...)
		e.at = len(e.text)
		e.extend(runes)
		return
	}
	e.text = slices.Insert(e.text, e.at, runes...)
	e.at += len(runes)
	e.stale = true
}

func (e *Editor) remove(from, to int) {
	if to > len(e.text) || from >= to {
		return
	}
	e.text = slices.Delete(e.text, from, to)
	e.at, e.stale = from, true
}

func (e *Editor) cut(from, to int) {
	if from < to {
		e.yank = slices.Clone(e.text[from:to])
		e.remove(from, to)
	}
}

func (e *Editor) swap() {
	if e.at == 0 || len(e.text) < 2 {
		return
	}
	at := min(e.at, len(e.text)-1)
	e.text[at-1], e.text[at] = e.text[at], e.text[at-1]
	e.at, e.stale = at+1, true
}

func (e *Editor) blankBefore() int {
	i := e.at
	for i > 0 && e.text[i-1] == ' ' {
		i--
	}
	for i > 0 && e.text[i-1] != ' ' {
		i--
	}
	return i
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

func (e *Editor) wordBefore() int {
	i := e.at
	for i > 0 && !wordRune(e.text[i-1]) {
		i--
	}
	for i > 0 && wordRune(e.text[i-1]) {
		i--
	}
	return i
}

func (e *Editor) wordAfter() int {
	i := e.at
	for i < len(e.text) && !wordRune(e.text[i]) {
		i++
	}
	for i < len(e.text) && wordRune(e.text[i]) {
		i++
	}
	return i
}

func (e *Editor) recall(to int) {
	if to < 0 || to > len(e.History) || to == e.past {
		return
	}
	if e.past == len(e.History) {
		e.draft = e.text
	}
	if e.past = to; to == len(e.History) {
		e.text = e.draft
	} else {
		e.text = []rune(e.History[to])
	}
	e.at, e.stale = len(e.text), true
}
