// Empty: its presence lets interpret.go declare nanotime without a body.
