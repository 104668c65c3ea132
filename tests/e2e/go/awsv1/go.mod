module holdfast.test/awsv1

go 1.21
