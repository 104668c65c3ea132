module holdfast.test/velero

go 1.21
