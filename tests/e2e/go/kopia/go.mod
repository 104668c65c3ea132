module holdfast.test/kopia

go 1.21
