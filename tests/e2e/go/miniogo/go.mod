module holdfast.test/miniogo

go 1.21
